#include "grammar.h"

const bool grammar_tchar[256] = {
	['!'] = true,
	['#' ... '\''] = true, /* # $ % & ' */
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['^'] = true,
	['_'] = true,
	['`'] = true,
	['a' ... 'z'] = true,
	['|'] = true,
	['~'] = true,
};

const bool grammar_value[256] = {
	['\t'] = true,
	[' ' ... '~'] = true,
	[0x80 ... 0xff] = true,
};

bool grammar_is_token(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!grammar_tchar[(unsigned char)text[i]])
			return false;
	return length > 0;
}

bool grammar_is_value(const char *text)
{
	while (grammar_value[(unsigned char)*text])
		text++;
	return !*text;
}
