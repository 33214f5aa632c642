/* Certificates that a test makes for servers of its own. */
#ifndef TESTS_SUPPORT_CERTIFICATE_H
#define TESTS_SUPPORT_CERTIFICATE_H

/*
 * Writes NAME.pem, signed by itself for this host, and NAME.key into the test's directory. It ends
 * `seconds` from now, or ended so long ago. Returns the path of NAME.pem, as support_path does.
 */
const char *certificate_write(const char *name, const char *host, long seconds);

#endif
