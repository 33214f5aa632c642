/* protocols/fastcgi.c, from the FastCGI specification 1.0; sections in comments are its. */
#include "../support/support.h"
#include "fastcgi_rows.h"

SUITE(fastcgi);

/* What is read behind an open request: it gets `events`, and the connection `verdict`. */
#define BEHIND_OPEN(name, bytes, events)                                                           \
	{                                                                                          \
		name, BYTES(OPEN("\1") bytes), BEGUN("1") events "\n", false                       \
	}
#define BAD_START(name, bytes)                                                                     \
	{                                                                                          \
		name, BYTES(bytes), "bad 0\n", false                                               \
	}

#define CHECK(rows) decoding_check(&protocol_fastcgi, NULL, rows, sizeof rows / sizeof *rows)

Test(fastcgi, requests)
{
	static const struct decoding_row rows[] = {
		{ "nothing", BYTES(""), "more\n", false },
		{ "a request", BYTES(GET("\1")), DONE("1") "more\n", false },
		{ "no variables", BYTES(OPEN("\1") PARAMS("\1", "\0") STDIN("\1", "\0")),
		        BEGUN("1") "1 head\n1 end\nmore\n", false },
		{ "reserved bytes (5.1)",
		        BYTES(RECORD("\1", "\1", "\10") "\0\1\0\377\377\377\377\377" PARAMS(
		                "\1", "\0")),
		        BEGUN("1") "1 head\nmore\n", false },
		{ "the largest id",
		        BYTES("\1\1\377\377\0\10\0\0\0\1\0\0\0\0\0\0\1\4\377\377\0\0\0\0"
		              "\1\5\377\377\0\0\0\0"),
		        "65535 begin responder\n65535 head\n65535 end\nmore\n", false },
		{ "one after the other", BYTES(GET("\1") GET("\1") GET("\2")),
		        DONE("1") DONE("1") DONE("2") "more\n", true },
		{ "a body",
		        BYTES(HEAD("\1") STDIN("\1", "\3") "abc" STDIN("\1", "\1") "d" STDIN(
		                "\1", "\0")),
		        GOT("1") "1 body 4 bytes \"abcd\"\n1 end\nmore\n", false },
		{ "a body without end", BYTES(HEAD("\1") STDIN("\1", "\3") "abc"),
		        GOT("1") "1 body 3 bytes \"abc\"\nmore\n", false },
		{ "padding (3.3)",
		        BYTES(PADDED("\1", "\1", "\10", "\2") "\0\1\0\0\0\0\0\0\377\377" PADDED(
		                "\4", "\1", "\5", "\3") PAIR
		                "\1\1\1" PADDED("\4", "\1", "\0", "\1") "x" PADDED("\5", "\1", "\1",
		                        "\2") "y\0\0" PADDED("\5", "\1", "\0", "\4") "abcd"),
		        GOT("1") "1 body 1 bytes \"y\"\n1 end\nmore\n", false },
	};

	CHECK(rows);
}

#define ASKED(id) id " begin authorizer\n" id " head\n" id " end\n"

/* 6.3: their requests end with the parameters. */
Test(fastcgi, authorizers)
{
	static const struct decoding_row rows[] = {
		{ "no variables", BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\0")),
		        ASKED("7") "more\n", false },
		{ "variables",
		        BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\5") PAIR PARAMS("\7", "\0")),
		        "7 begin authorizer\n7 var A=bc\n7 head\n7 end\nmore\n", false },
		{ "padding behind the end",
		        BYTES(AS("\7", "\2", "\0") PADDED("\4", "\7", "\0", "\3") "xyz" GET("\1")),
		        ASKED("7") DONE("1") "more\n", false },
		{ "STDIN all the same",
		        BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\0")
		                        STDIN("\7", "\1") "x" STDIN("\7", "\0") GET("\1")),
		        ASKED("7") DONE("1") "more\n", false },
		{ "STDIN behind the answer",
		        BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\0")
		                        STDIN("\7", "\1") "x" STDIN("\7", "\0") GET("\7")),
		        ASKED("7") DONE("7") "more\n", true },
		{ "one after the other",
		        BYTES(AS("\1", "\2", "\1") PARAMS("\1", "\0") AS("\1", "\2", "\1")
		                        PARAMS("\1", "\0")),
		        ASKED("1") ASKED("1") "more\n", true },
		{ "beside a responder",
		        BYTES(HEAD("\1") AS("\2", "\2", "\0")
		                        STDIN("\1", "\1") "x" PARAMS("\2", "\0") STDIN("\1", "\0")),
		        GOT("1") "2 begin authorizer\n2 head\n2 end\n1 body 1 bytes \"x\"\n"
		                 "1 end\nmore\n",
		        false },
		{ "given up", BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\0") ABORT("\7")),
		        ASKED("7") "7 abort\nmore\n", false },
		{ "given up before",
		        BYTES(AS("\7", "\2", "\0") ABORT("\7") PARAMS("\7", "\0") GET("\1")),
		        "7 begin authorizer\n7 abort\n" DONE("1") "more\n", false },
		{ "refused", BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\1") "\1" PARAMS("\7", "\0")),
		        "7 begin authorizer\n7 refused 400\nmore\n", false },
		{ "STDIN before the end of PARAMS", BYTES(AS("\7", "\2", "\0") STDIN("\7", "\0")),
		        "7 begin authorizer\nbad 0\n", false },
	};

	CHECK(rows);
}

/* 3.4: pairs, and streams that are cut into records anywhere. */
Test(fastcgi, pairs)
{
	static const struct decoding_row rows[] = {
		BEHIND_OPEN("long lengths",
		        PARAMS("\1", "\13") "\200\0\0\1\200\0\0\2Abc" PARAMS("\1", "\0"),
		        "1 var A=bc\n1 head\nmore"),
		BEHIND_OPEN("a short and a long one",
		        PARAMS("\1", "\10") "\1\200\0\0\2Abc" PARAMS("\1", "\10") "\200\0\0\1\2Dee",
		        "1 var A=bc\n1 var D=ee\nmore"),
		BEHIND_OPEN("several",
		        PARAMS("\1", "\17") PAIR "\1\1Bd\2\0Ce"
		                                 "\0\0",
		        "1 var A=bc\n1 var B=d\n1 var Ce=\n1 var =\nmore"),
		BEHIND_OPEN("records of a byte",
		        PARAMS("\1", "\1") "\1" PARAMS("\1", "\1") "\2" PARAMS(
		                "\1", "\1") "A" PARAMS("\1", "\1") "b" PARAMS("\1",
		                "\1") "c" PARAMS("\1", "\0"),
		        "1 var A=bc\n1 head\nmore"),
		BEHIND_OPEN("cut in a long length",
		        PARAMS("\1", "\2") "\200\0" PARAMS("\1", "\4") "\0\1\200\0" PARAMS(
		                "\1", "\4") "\0\2Ab" PARAMS("\1", "\6") "c" PAIR,
		        "1 var A=bc\n1 var A=bc\nmore"),
		BEHIND_OPEN("cut between name and value",
		        PARAMS("\1", "\3") "\1\2A" PARAMS("\1", "\2") "bc", "1 var A=bc\nmore"),
		BEHIND_OPEN("an empty pair in two records",
		        PARAMS("\1", "\1") "\0" PARAMS("\1", "\6") "\0" PAIR,
		        "1 var =\n1 var A=bc\nmore"),
		BEHIND_OPEN("17 in a record",
		        PARAMS("\1", "\125") PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
		                PAIR PAIR PAIR PAIR PAIR PAIR,
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n"
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n"
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\nmore"),
		BEHIND_OPEN("ends in a length", PARAMS("\1", "\1") "\1" PARAMS("\1", "\0"),
		        "1 refused 400\nmore"),
		BEHIND_OPEN("ends in a long length",
		        PARAMS("\1", "\3") "\1\200\0" PARAMS("\1", "\0"), "1 refused 400\nmore"),
		BEHIND_OPEN("ends in a value", PARAMS("\1", "\4") "\1\2Ab" PARAMS("\1", "\0"),
		        "1 refused 400\nmore"),
		BEHIND_OPEN("a name of 2 GiB", PARAMS("\1", "\6") "\377\377\377\377\1A",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a value of 2 GiB", PARAMS("\1", "\5") "\1\377\377\377\377",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a sum that wraps",
		        PARAMS("\1", "\10") "\377\377\377\377\377\377\377\377",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a value above the limit", PARAMS("\1", "\6") "\1\200\1\0\1A",
		        "1 refused 431\nmore"),
	};

	CHECK(rows);
}

/* 3.3: a connection may carry several requests at a time. */
Test(fastcgi, interleaved)
{
	static const struct decoding_row rows[] = {
		{ "pairs in turn",
		        BYTES(OPEN("\1") OPEN("\2") PARAMS("\1", "\2") "\1\2" PARAMS(
		                "\2", "\4") "\1\2Ab" PARAMS("\1", "\1") "A" PARAMS("\2",
		                "\1") "c" PARAMS("\2", "\0") PARAMS("\1", "\2") "bc" PARAMS("\1",
		                "\0") STDIN("\2", "\1") "x" STDIN("\1", "\1") "y" STDIN("\2", "\0")
		                        STDIN("\1", "\0")),
		        BEGUN("1") BEGUN("2") "2 var A=bc\n2 head\n1 var A=bc\n1 head\n"
		                              "2 body 1 bytes \"x\"\n2 end\n1 body 1 bytes "
		                              "\"y\"\n1 end\nmore\n",
		        false },
		{ "a refused one leaves the other alone",
		        BYTES(HEAD("\2") OPEN("\1") PARAMS("\1", "\1") "\1" PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") STDIN("\2", "\0")),
		        GOT("2") BEGUN("1") "1 refused 400\n2 end\nmore\n", false },
		{ "the rest of a refused one is passed over",
		        BYTES(OPEN("\1") PARAMS("\1", "\11") "\377\377\377\377\1ABCD" PARAMS(
		                "\1", "\2") "xy" PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\2")),
		        BEGUN("1") "1 refused 431\n" DONE("2") "more\n", false },
		{ "ids that nobody opened",
		        BYTES(HEAD("\1") PARAMS("\7", "\5") PAIR PARAMS("\7", "\0") STDIN(
		                "\7", "\2") "xy" STDIN("\7", "\0") ABORT("\7") STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
	};

	CHECK(rows);
}

/* 5.4 */
Test(fastcgi, aborts)
{
	static const struct decoding_row rows[] = {
		BEHIND_OPEN("before the parameters", ABORT("\1"), "1 abort\nmore"),
		BEHIND_OPEN("in a pair", PARAMS("\1", "\4") "\1\2Ab" ABORT("\1"), "1 abort\nmore"),
		BEHIND_OPEN("behind a pair", PARAMS("\1", "\5") PAIR ABORT("\1"),
		        "1 var A=bc\n1 abort\nmore"),
		{ "before the body", BYTES(HEAD("\1") ABORT("\1")), GOT("1") "1 abort\nmore\n",
		        false },
		{ "in the body", BYTES(HEAD("\1") STDIN("\1", "\2") "xy" ABORT("\1")),
		        GOT("1") "1 body 2 bytes \"xy\"\n1 abort\nmore\n", false },
		{ "behind the body", BYTES(GET("\1") ABORT("\1")), DONE("1") "1 abort\nmore\n",
		        false },
		{ "twice", BYTES(HEAD("\1") ABORT("\1") ABORT("\1")), GOT("1") "1 abort\nmore\n",
		        true },
		{ "twice before it is ended", BYTES(HEAD("\1") ABORT("\1") ABORT("\1")),
		        GOT("1") "1 abort\nmore\n", false },
		{ "then the id again", BYTES(HEAD("\1") ABORT("\1") GET("\1")),
		        GOT("1") "1 abort\n" DONE("1") "more\n", true },
		{ "what was on its way is passed over",
		        BYTES(OPEN("\1") ABORT("\1") PARAMS("\1", "\5") PAIR PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\2")),
		        BEGUN("1") "1 abort\n" DONE("2") "more\n", false },
	};

	CHECK(rows);
}

#define MAX_CONNS "0e04464347495f4d41585f434f4e4e5331303234"
#define MAX_REQS  "0d02464347495f4d41585f524551533130"
#define MPXS      "0f01464347495f4d5058535f434f4e4e5331"

/* 4.1, 4.2 */
Test(fastcgi, management)
{
	static const struct decoding_row rows[] = {
		{ "one value", BYTES(VALUES("\21") "\17\0FCGI_MPXS_CONNS"),
		        "reply 010a000000120000" MPXS "\nmore\n", false },
		{ "all",
		        BYTES(VALUES("\60") "\17\0FCGI_MPXS_CONNS\15\0FCGI_MAX_REQS"
		                            "\16\0FCGI_MAX_CONNS"),
		        "reply 010a000000370000" MAX_CONNS MAX_REQS MPXS "\nmore\n", false },
		{ "a value and padding",
		        BYTES(PADDED("\11", "\0", "\22", "\2") "\15\3FCGI_MAX_REQSxyz\0\0"),
		        "reply 010a000000110000" MAX_REQS "\nmore\n", false },
		{ "twice the same", BYTES(VALUES("\36") "\15\0FCGI_MAX_REQS\15\0FCGI_MAX_REQS"),
		        "reply 010a000000110000" MAX_REQS "\nmore\n", false },
		{ "unknown names", BYTES(VALUES("\11") "\3\0XYZ\1\1AB"),
		        "reply 010a000000000000\nmore\n", false },
		{ "none", BYTES(VALUES("\0")), "reply 010a000000000000\nmore\n", false },
		{ "in a request", BYTES(HEAD("\1") VALUES("\0") STDIN("\1", "\0")),
		        GOT("1") "reply 010a000000000000\n1 end\nmore\n", false },
		BAD_START("a name runs out", VALUES("\3") "\4\0A"),
		BAD_START("a value runs out", VALUES("\3") "\1\1A"),
		BAD_START("a length runs out", VALUES("\3") "\1\200\0"),
		BAD_START("no value length", VALUES("\1") "\1"),
		BAD_START("more than is shown whole", "\1\11\0\0\40\1\0\0x"),
		{ "an unknown type", BYTES(RECORD("\14", "\0", "\0")),
		        "reply 010b0000000800000c00000000000000\nmore\n", false },
		{ "with content and padding",
		        BYTES(PADDED("\377", "\0", "\2", "\1") "xyz" GET("\1")),
		        "reply 010b000000080000ff00000000000000\n" DONE("1") "more\n", false },
	};

	CHECK(rows);
}

Test(fastcgi, begin)
{
	static const struct decoding_row rows[] = {
		{ "an unknown role (5.5)", BYTES(AS("\1", "\11", "\0") GET("\2")),
		        END_REQUEST("01", "03") DONE("2") "more\n", false },
		{ "what comes for an unknown role",
		        BYTES(AS("\1", "\11", "\0") PARAMS("\1", "\5") PAIR PARAMS("\1", "\0")
		                        STDIN("\1", "\0") ABORT("\1") GET("\1")),
		        END_REQUEST("01", "03") DONE("1") "more\n", false },
		{ "the filter role", BYTES(AS("\1", "\3", "\1")), END_REQUEST("01", "03") "more\n",
		        false },
		{ "role 0", BYTES(AS("\1", "\0", "\0")), END_REQUEST("01", "03") "more\n", false },
		{ "an open id", BYTES(OPEN("\1") OPEN("\1")), BEGUN("1") "bad 0\n", false },
		{ "an open id, in the body", BYTES(HEAD("\1") STDIN("\1", "\1") "x" OPEN("\1")),
		        GOT("1") "1 body 1 bytes \"x\"\nbad 0\n", false },
		{ "an open id, complete", BYTES(GET("\1") OPEN("\1")), DONE("1") "bad 0\n", false },
		BAD_START("id 0", AS("\0", "\1", "\0")),
		BAD_START("empty", RECORD("\1", "\1", "\0")),
		BAD_START("7 bytes", RECORD("\1", "\1", "\7") "\0\1\0\0\0\0\0"),
		BAD_START("9 bytes", RECORD("\1", "\1", "\11") "\0\1\0\0\0\0\0\0\0"),
	};

	CHECK(rows);
}

Test(fastcgi, rules)
{
	static const struct decoding_row rows[] = {
		BAD_START("version 0", "\0\1\0\1"),
		BAD_START("version 2", "\2"),
		BAD_START("HTTP", "GET / HTTP/1.1\r\n"),
		BAD_START("TLS", "\26\3\1\2\0"),
		{ "a wrong version behind a request", BYTES(GET("\1") "\2"), DONE("1") "bad 0\n",
		        false },
		BAD_START("type 0", RECORD("\0", "\1", "\0")),
		BAD_START("END_REQUEST", RECORD("\3", "\1", "\10")),
		BAD_START("STDOUT", RECORD("\6", "\1", "\0")),
		BAD_START("STDERR", RECORD("\7", "\1", "\0")),
		BAD_START("GET_VALUES_RESULT", RECORD("\12", "\0", "\0")),
		BAD_START("UNKNOWN_TYPE", RECORD("\13", "\0", "\10")),
		BEHIND_OPEN("STDIN before the end of PARAMS", STDIN("\1", "\1") "x", "bad 0"),
		BEHIND_OPEN("the end of STDIN before PARAMS", STDIN("\1", "\0"), "bad 0"),
		{ "PARAMS after their end", BYTES(HEAD("\1") PARAMS("\1", "\5") PAIR),
		        GOT("1") "bad 0\n", false },
		{ "an unknown type for a request",
		        BYTES(HEAD("\1") RECORD("\24", "\1", "\2") "xy" STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
		{ "DATA without a filter",
		        BYTES(HEAD("\1") RECORD("\10", "\1", "\2") "xy" RECORD("\10", "\1", "\0")
		                        STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
	};

	CHECK(rows);
}
