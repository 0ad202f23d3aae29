"""The words by which TLS stacks refuse, one file a family of stacks; the special before the general."""

from leafward.doctor.error_words import connection, general, java, openssl, others, small
from leafward.doctor.error_words.codes import Words

SPECIAL: Words = (*openssl.WORDS, *java.WORDS, *small.WORDS, *others.WORDS, *connection.WORDS)
GENERAL: Words = general.WORDS
