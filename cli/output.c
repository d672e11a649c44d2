/*
 * Prints messages by column tables; see output.h. Rows of a table are kept until its end, so their
 * number is bounded: a server cannot make croft take all memory by never ending a list.
 */
#include "cli/output.h"

#include "base/cleanup.h"
#include "cli/csv.h"
#include "cli/table.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "proto/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define COLUMNS_MAX 32
#define ROWS_MAX    (1u << 20)
#define EMPTY	    "-" /* for people */

struct output {
	enum output_format format;
	const struct column *columns;
	size_t n_columns;
	FILE *out;
	struct table *table;
	size_t n_rows;
	bool begun; /* CSV: the heading is out */
};

/* "ON_FAILURE" -> "on-failure": what the command line takes. */
static const char *enum_text(const char *name, char buf[static COLUMN_TEXT_MAX])
{
	size_t i = 0;

	for (; name[i] && i + 1 < COLUMN_TEXT_MAX; i++)
		buf[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
	buf[i] = '\0';
	return buf;
}

static const char *plain_text(const struct message_value *value, char buf[static COLUMN_TEXT_MAX])
{
	const char *name = message_enum_name(value);

	if (value->field->type == PROTOBUF_C_TYPE_STRING)
		return message_string(value);
	if (value->field->type == PROTOBUF_C_TYPE_BOOL)
		return message_u64(value) ? "true" : "false";
	if (name)
		return enum_text(name, buf);
	if (message_is_signed(value))
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRId64, (int64_t)message_u64(value));
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64, message_u64(value));
	return buf;
}

/* "tenants/a/containers/b" -> "a/b", "images/i" -> "i": what the command line takes. */
static const char *resource_text(const char *resource, char buf[static COLUMN_TEXT_MAX])
{
	const char *p = resource;
	size_t n = 0;

	for (bool id = false; *p; id = !id) {
		size_t len = strcspn(p, "/");

		if (id && n + len + 2 < COLUMN_TEXT_MAX) {
			if (n)
				buf[n++] = '/';
			memcpy(buf + n, p, len);
			n += len;
		}
		p += len + (p[len] == '/');
	}
	buf[n] = '\0';
	return n ? buf : resource;
}

static const char *usec_text(uint64_t usec, char buf[static COLUMN_TEXT_MAX])
{
	if (usec < 1000)
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64 " us", usec);
	else if (usec < 1000000)
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64 ".%" PRIu64 " ms", usec / 1000,
			usec % 1000 / 100);
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%" PRIu64 ".%03" PRIu64 " s", usec / 1000000,
			usec % 1000000 / 1000);
	return buf;
}

/* Whole seconds are enough for people. */
static const char *time_text(
	const struct message_value *value, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const ProtobufCMessage *message = message_sub(value);
	const Google__Protobuf__Timestamp *t = (const void *)message;

	if (!message || message->descriptor != &google__protobuf__timestamp__descriptor ||
		!message_format_time(t->seconds, human ? 0 : t->nanos, buf))
		return "";
	return buf;
}

static const char *human_text(const struct column *column, const struct message_value *value,
	char buf[static COLUMN_TEXT_MAX])
{
	switch (column->kind) {
	case COLUMN_SIZE:
		return size_format(message_u64(value), buf);
	case COLUMN_MILLI:
		return limit_format(LIMIT_CPU, message_u64(value), buf);
	case COLUMN_USEC:
		return usec_text(message_u64(value), buf);
	default:
		return value->field->type == PROTOBUF_C_TYPE_BOOL ? "yes" : plain_text(value, buf);
	}
}

/* What proto3 leaves out: a number is 0, but an id of 0 is nothing to people. */
static const char *unset_text(
	const struct column *column, const ProtobufCMessage *message, bool human)
{
	struct message_value value;
	const char *dot = strrchr(column->path, '.');
	const ProtobufCFieldDescriptor *f;

	if (dot) {
		char parent[64];

		snprintf(parent, sizeof(parent), "%.*s", (int)(dot - column->path), column->path);
		if (!message_find(message, parent, &value) || !message_sub(&value))
			return "";
		message = message_sub(&value);
	}
	f = protobuf_c_message_descriptor_get_field_by_name(
		message->descriptor, dot ? dot + 1 : column->path);
	if (!f || f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE ||
		f->type == PROTOBUF_C_TYPE_BYTES || f->type == PROTOBUF_C_TYPE_ENUM)
		return "";
	if (f->type == PROTOBUF_C_TYPE_BOOL)
		return human ? "no" : "false";
	return human && column->kind == COLUMN_ID ? "" : "0";
}

const char *column_text(const struct column *column, const ProtobufCMessage *message, bool human,
	char buf[static COLUMN_TEXT_MAX])
{
	struct message_value value;
	const char *text;

	if (column->kind == COLUMN_CUSTOM)
		text = column->text(message, human, buf);
	else if (!message_find(message, column->path, &value))
		text = unset_text(column, message, human);
	else if (column->kind == COLUMN_RESOURCE)
		text = resource_text(message_string(&value), buf);
	else if (column->kind == COLUMN_TIME)
		text = time_text(&value, human, buf);
	else
		text = human ? human_text(column, &value, buf) : plain_text(&value, buf);
	return human && !*text ? EMPTY : text;
}

static const struct column *column_named(const struct column *columns, const char *name, size_t len)
{
	while (strncmp(columns->name, name, len) != 0 || columns->name[len])
		columns++;
	return columns;
}

void column_fill(const struct column *columns, const char *pattern, const ProtobufCMessage *message,
	char out[static COLUMN_TEXT_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	while (*pattern && n < COLUMN_TEXT_MAX) {
		size_t len = strcspn(pattern, "{");
		char buf[COLUMN_TEXT_MAX];

		n += (size_t)snprintf(out + n, COLUMN_TEXT_MAX - n, "%.*s", (int)len, pattern);
		pattern += len;
		if (!*pattern || n >= COLUMN_TEXT_MAX)
			break;
		len = strcspn(++pattern, "}");
		n += (size_t)snprintf(out + n, COLUMN_TEXT_MAX - n, "%s",
			column_text(column_named(columns, pattern, len), message, true, buf));
		pattern += len + 1;
	}
}

static enum table_colour colour_of(const struct column *column, const char *text)
{
	static const struct {
		const char *text;
		enum table_colour colour;
	} colours[] = {
		{"running", TABLE_GREEN},
		{"starting", TABLE_YELLOW},
		{"stopping", TABLE_YELLOW},
		{"deleting", TABLE_YELLOW},
		{"frozen", TABLE_CYAN},
		{"freezing", TABLE_CYAN},
		{"frozen (idle)", TABLE_CYAN},
		{"suspended", TABLE_RED},
		{"running (unhealthy)", TABLE_RED},
		{"stopped", TABLE_FAINT},
	};

	if (column->kind != COLUMN_CUSTOM)
		return TABLE_PLAIN;
	for (size_t i = 0; i < ARRAY_SIZE(colours); i++)
		if (!strcmp(text, colours[i].text))
			return colours[i].colour;
	return TABLE_PLAIN;
}

/* Numbers stand to the right. */
static bool is_right(const struct column *column)
{
	return column->kind == COLUMN_SIZE || column->kind == COLUMN_MILLI ||
	       column->kind == COLUMN_USEC;
}

static int begin_table(struct output *o, struct err *err)
{
	int r = table_create(o->out, &o->table, err);

	for (size_t i = 0; r == 0 && i < o->n_columns; i++)
		if (o->columns[i].title)
			r = table_add_column(
				o->table, o->columns[i].title, is_right(&o->columns[i]), err);
	return r;
}

/* Not before the first row or the end: a refused list prints nothing. */
static void begin_csv(struct output *o)
{
	const char *fields[COLUMNS_MAX];

	if (o->begun)
		return;
	o->begun = true;
	for (size_t i = 0; i < o->n_columns; i++)
		fields[i] = o->columns[i].name;
	csv_print(fields, o->n_columns, o->out);
}

int output_create(enum output_format format, const struct column *columns, FILE *out,
	struct output **ret, struct err *err)
{
	_cleanup_output_ struct output *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return err_oom(err);
	o->format = format;
	o->columns = columns;
	o->out = out;
	while (columns && columns[o->n_columns].name && o->n_columns < COLUMNS_MAX)
		o->n_columns++;
	r = format == OUTPUT_TABLE ? begin_table(o, err) : 0;
	if (r < 0)
		return r;
	*ret = take_ptr(o);
	return 0;
}

static void add_csv(struct output *o, const ProtobufCMessage *message)
{
	char bufs[COLUMNS_MAX][COLUMN_TEXT_MAX];
	const char *fields[COLUMNS_MAX];

	begin_csv(o);
	for (size_t i = 0; i < o->n_columns; i++)
		fields[i] = column_text(&o->columns[i], message, false, bufs[i]);
	csv_print(fields, o->n_columns, o->out);
}

static int add_table_row(struct output *o, const ProtobufCMessage *message, struct err *err)
{
	size_t cell = 0;
	int r = table_add_row(o->table, err);

	for (size_t i = 0; r == 0 && i < o->n_columns; i++) {
		char buf[COLUMN_TEXT_MAX];
		const char *text;

		if (!o->columns[i].title)
			continue;
		text = column_text(&o->columns[i], message, true, buf);
		r = table_set(o->table, cell++, text, colour_of(&o->columns[i], text), err);
	}
	return r;
}

int output_add(struct output *o, const ProtobufCMessage *message, struct err *err)
{
	if (o->format == OUTPUT_TABLE) {
		if (++o->n_rows > ROWS_MAX)
			return err_set(err, ERR_RESOURCE_EXHAUSTED, "LIST_TOO_LONG",
				"the list is too long for a table; use -o json or -o csv");
		return add_table_row(o, message, err);
	}
	if (o->format == OUTPUT_CSV)
		add_csv(o, message);
	else
		json_print(message, o->out);
	return ferror(o->out) ? output_flush(o->out, err) : 0;
}

int output_flush(FILE *out, struct err *err)
{
	errno = 0;
	if (fflush(out) == 0 && !ferror(out))
		return 0;
	if (errno)
		return err_sys(err, errno, "write to standard output");
	/* An earlier write failed, and only stdio knew why. */
	err_set(err, ERR_INTERNAL, "OUTPUT_LOST",
		"not everything could be written to standard output");
	return -EIO;
}

int output_end(struct output *o, struct err *err)
{
	int r = o->table ? table_print(o->table, err) : 0;

	if (o->format == OUTPUT_CSV)
		begin_csv(o);
	return r < 0 ? r : output_flush(o->out, err);
}

void output_destroy(struct output *o)
{
	if (!o)
		return;
	table_destroy(o->table);
	free(o);
}

static int print_fields(const struct column *columns, const ProtobufCMessage *message,
	struct table *table, struct err *err)
{
	int r = table_add_column(table, NULL, false, err);

	if (r == 0)
		r = table_add_column(table, NULL, false, err);
	for (; r == 0 && columns->name; columns++) {
		char buf[COLUMN_TEXT_MAX];
		const char *text;

		if (!columns->title)
			continue;
		text = column_text(columns, message, true, buf);
		r = table_add_row(table, err);
		if (r == 0)
			r = table_set(table, 0, columns->title, TABLE_BOLD, err);
		if (r == 0)
			r = table_set(table, 1, text, colour_of(columns, text), err);
	}
	return r < 0 ? r : table_print(table, err);
}

int output_one(enum output_format format, const struct column *columns,
	const ProtobufCMessage *message, FILE *out, struct err *err)
{
	_cleanup_output_ struct output *o = NULL;
	_cleanup_table_ struct table *table = NULL;
	int r;

	if (format == OUTPUT_TABLE) {
		r = table_create(out, &table, err);
		if (r == 0)
			r = print_fields(columns, message, table, err);
		return r < 0 ? r : output_flush(out, err);
	}
	r = output_create(format, columns, out, &o, err);
	if (r == 0)
		r = output_add(o, message, err);
	return r < 0 ? r : output_end(o, err);
}
