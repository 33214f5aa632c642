/* Hello as a CGI program. */
#include <unistd.h>

int main(void)
{
	static const char text[] =
	        "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n";

	return write(1, text, sizeof(text) - 1) < 0;
}
