/* anygate itself: it has no application of its own. */
#include "../app/anygate.h"

int main(int argc, char **argv)
{
	return ag_main(argc, argv, NULL);
}
