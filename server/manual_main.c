/* croftd-manual: a filter over docs/man/croftd.8.in, of the build only. */
#include "base/roff.h"
#include "server/config.h"

/* The settings as options, which is what --help shows. */
static void print_settings(FILE *out)
{
	struct config_setting setting;

	fputs(".Bl -tag -width 4n\n", out);
	for (size_t i = 0; config_setting_at(i, &setting); i++) {
		fprintf(out, ".It Fl -%s", setting.name);
		if (setting.value) {
			fputs(" Ar", out);
			roff_argument(setting.value, out);
		}
		fputc('\n', out);
		roff_text(setting.help, out);
	}
	fputs(".El\n", out);
}

int main(void)
{
	return roff_fill(stdin, stdout, print_settings) < 0;
}
