"""C#, with Azure's own client. It takes no root of its own, so the root goes into this user's store first."""

from leafward.cli.snippets.leaf import Leaf, fill, text

_CODE = """\
// dotnet add package Microsoft.Azure.Devices.Client
using System;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Azure.Devices.Client;

// This user trusts the root from now on; on Windows the system asks once.
using (var store = new X509Store(StoreName.Root, StoreLocation.CurrentUser))
{
    store.Open(OpenFlags.ReadWrite);
    store.Add(new X509Certificate2(@ROOT@));
}

@CLIENT@
var message = new Message(Encoding.UTF8.GetBytes("{\\"temperature\\": 21.5}"))
{
    ContentType = "application/json",
    ContentEncoding = "utf-8",
};
await client.SendEventAsync(message);
Console.WriteLine("sent");
await client.CloseAsync();
"""
_BY_KEY = """\
using var client = DeviceClient.CreateFromConnectionString(
    @CONNECTION@,
    TransportType.Mqtt_Tcp_Only);"""
_BY_CERTIFICATE = """\
// .NET 5 and later read PEM. The round trip by PKCS#12 is for Windows, which takes no key from memory.
using var pem = X509Certificate2.CreateFromPemFile(@CERTIFICATE@, @KEY@);
using var certificate = new X509Certificate2(pem.Export(X509ContentType.Pkcs12));
using var client = DeviceClient.Create(
    @GATEWAY@,
    @GATEWAY@,
    new DeviceAuthenticationWithX509Certificate(@DEVICE@, certificate),
    TransportType.Mqtt_Tcp_Only);"""


def write(leaf: Leaf) -> str:
    """The program."""
    if leaf.x509:
        client = fill(
            _BY_CERTIFICATE,
            CERTIFICATE=text(leaf.certificate),
            KEY=text(leaf.private_key),
            GATEWAY=text(leaf.gateway),
            DEVICE=text(leaf.device_id),
        )
    else:
        client = fill(_BY_KEY, CONNECTION=text(leaf.connection_string))
    return fill(_CODE, ROOT=text(leaf.root), CLIENT=client)
