/* Rows for decoder tables of HTTP: requests, and the events they give. */
#ifndef TESTS_UNIT_HTTP_ROWS_H
#define TESTS_UNIT_HTTP_ROWS_H

#include "../support/decoding.h"
#include "../support/support.h"

#define BEGIN_AS(method, uri, query, version)                                                      \
	"1 begin responder\n1 var REQUEST_METHOD=" method "\n1 var REQUEST_URI=" uri               \
	"\n1 var QUERY_STRING=" query "\n1 var SERVER_PROTOCOL=" version "\n"
#define BEGIN    BEGIN_AS("GET", "/", "", "HTTP/1.1")
#define BEGIN_0  BEGIN_AS("GET", "/", "", "HTTP/1.0")
#define POSTED   BEGIN_AS("POST", "/p", "", "HTTP/1.1")
#define GET      "GET / HTTP/1.1\r\n"
#define GET_0    "GET / HTTP/1.0\r\n"
#define POST     "POST /p HTTP/1.1\r\nHost: a\r\n"
#define HOST     "Host: a\r\n"
#define HAS_HOST "1 field Host: a\n"
#define DONE     "1 head\n1 end\n"

/* A request line that gives an accepted request. */
#define GOOD_LINE(line, begin)                                                                     \
	{                                                                                          \
		line, BYTES(line "\r\n" HOST "\r\n"), begin HAS_HOST DONE "more\n", false          \
	}

/* Bytes that are refused before anything begins. */
#define BAD_START(bytes, verdict)                                                                  \
	{                                                                                          \
		bytes, BYTES(bytes), verdict "\n", false                                           \
	}

/* Field lines behind a good line and Host. */
#define BAD_FIELDS(fields, seen, verdict)                                                          \
	{                                                                                          \
		fields, BYTES(GET HOST fields "\r\n"), BEGIN HAS_HOST seen verdict "\n", false     \
	}
#define GOOD_FIELDS(fields, seen)                                                                  \
	{                                                                                          \
		fields, BYTES(GET HOST fields "\r\n"), BEGIN HAS_HOST seen DONE "more\n", false    \
	}

/* A Host value in a request without other fields. */
#define GOOD_HOST(value)                                                                           \
	{                                                                                          \
		"Host " value, BYTES(GET "Host: " value "\r\n\r\n"),                               \
		        BEGIN "1 field Host: " value "\n" DONE "more\n", false                     \
	}
#define BAD_HOST(value)                                                                            \
	{                                                                                          \
		"Host " value, BYTES(GET "Host: " value "\r\n\r\n"), BEGIN "bad 400\n", false      \
	}

#define CHUNKED      POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD POSTED HAS_HOST "1 head\n"
#define GOOD_CHUNKS(bytes, body)                                                                   \
	{                                                                                          \
		bytes, BYTES(CHUNKED bytes), CHUNKED_HEAD body "1 end\nmore\n", false              \
	}
#define BAD_CHUNKS(bytes, body, verdict)                                                           \
	{                                                                                          \
		bytes, BYTES(CHUNKED bytes), CHUNKED_HEAD body verdict "\n", false                 \
	}
#define HELLO "1 body 5 bytes \"hello\"\n"

#define CHECK(rows) decoding_check(&protocol_http, NULL, rows, sizeof rows / sizeof *rows)

/* Another request behind, and its events. */
#define NEXT    "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"
#define IS_NEXT BEGIN_AS("GET", "/n", "", "HTTP/1.1") HAS_HOST DONE

#endif
