// Stands in for lines in /etc/hosts: LEAF_HOSTS="gateway.test=127.1.2.3". Loaded before the program; changes no client.
const dns = require('dns');

const hosts = Object.fromEntries((process.env.LEAF_HOSTS || '').split(',').filter(Boolean).map((e) => e.split('=')));
const ask = dns.lookup;

dns.lookup = (host, options, done) => ask(hosts[host] || host, options, done);
