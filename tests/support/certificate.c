#include "certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "support.h"

static X509 *make(const char *host, long seconds, EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	char names[128];

	snprintf(names, sizeof names, "DNS:%s", host);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	cr_assert(certificate && extension);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -7 * 24 * 3600L);
	X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
	X509_NAME_add_entry_by_txt(
	        name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	cr_assert(X509_sign(certificate, key, EVP_sha256()));
	return certificate;
}

const char *certificate_write(const char *name, const char *host, long seconds)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make(host, seconds, key);
	char file[64];

	snprintf(file, sizeof file, "%s.key", name);
	FILE *to = fopen(support_path(file), "we");

	cr_assert(to && PEM_write_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL));
	fclose(to);
	snprintf(file, sizeof file, "%s.pem", name);
	to = fopen(support_path(file), "we");
	cr_assert(to && PEM_write_X509(to, certificate));
	fclose(to);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return support_path(file);
}
