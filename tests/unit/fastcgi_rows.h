/* FastCGI records as literals, and the events that they give; for tests/unit/test_fastcgi*.c. */
#ifndef TESTS_UNIT_FASTCGI_ROWS_H
#define TESTS_UNIT_FASTCGI_ROWS_H

#include "../support/decoding.h"

/* 3.3; all texts are octal, `length` is below 256. */
#define PADDED(type, id, length, padding) "\1" type "\0" id "\0" length padding "\0"
#define RECORD(type, id, length)          PADDED(type, id, length, "\0")

#define AS(id, role, flags) RECORD("\1", id, "\10") "\0" role flags "\0\0\0\0\0"
#define OPEN(id)            AS(id, "\1", "\0")
#define ABORT(id)           RECORD("\2", id, "\0")
#define PARAMS(id, length)  RECORD("\4", id, length)
#define STDIN(id, length)   RECORD("\5", id, length)
#define VALUES(length)      RECORD("\11", "\0", length)

#define PAIR      "\1\2Abc" /* 5 bytes: A=bc */
#define HEAD(id)  OPEN(id) PARAMS(id, "\5") PAIR PARAMS(id, "\0")
#define GET(id)   HEAD(id) STDIN(id, "\0")
#define BEGUN(id) id " begin responder\n"
#define GOT(id)   BEGUN(id) id " var A=bc\n" id " head\n"
#define DONE(id)  GOT(id) id " end\n"

/* "Status: 503 Service Unavailable", ..., the end of STDOUT, END_REQUEST with OVERLOADED. */
#define OVERLOADED(id)                                                                             \
	"reply 010600" id "006f0000"                                                               \
	"5374617475733a20353033205365727669636520556e617661696c61626c650d0a"                       \
	"52657472792d41667465723a20310d0a"                                                         \
	"436f6e74656e742d547970653a20746578742f706c61696e3b20636861727365743d7574662d380d0a"       \
	"436f6e74656e742d4c656e6774683a20300d0a0d0a"                                               \
	"010600" id "00000000010300" id "0008000000000000"                                         \
	"02000000"

#define END_REQUEST(id, status) "reply 010300" id "0008000000000000" status "000000\n"

#endif
