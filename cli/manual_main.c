/* croft-manual: a filter over docs/man/croft.1.in, of the build only. */
#include "base/roff.h"
#include "cli/manual.h"

int main(void)
{
	return roff_fill(stdin, stdout, manual_print) < 0;
}
