/* Does not load: a shared object, but no application. */
int no_entry(void);

int no_entry(void)
{
	return 1;
}
