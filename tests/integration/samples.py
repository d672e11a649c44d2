"""Samples as rows of the state database have them, read and written by what server/sample_pack.h
says, not by our code.
"""


def unpack(ids, packed):
    """{id: value} of a row."""
    assert packed[0] == 1, packed
    values, rest = {}, iter(packed[1:])
    for number in range(63):
        if not ids & 1 << number:
            continue
        value = shift = 0
        for byte in rest:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        values[number] = value
    assert next(rest, None) is None
    return values


def pack(values):
    """(ids, packed) of a row."""
    packed = bytearray([1])
    for number in sorted(values):
        value = values[number]
        while value > 127:
            packed.append(value & 127 | 128)
            value >>= 7
        packed.append(value)
    return sum(1 << number for number in values), bytes(packed)


def add(state, number, amount, where):
    """Has samples say that a counter had come to more."""
    rows = state.execute(f"SELECT run, sequence, ids, packed FROM samples WHERE {where}").fetchall()
    assert rows
    for run, sequence, ids, packed in rows:
        values = unpack(ids, packed)
        values[number] += amount
        state.execute("UPDATE samples SET ids = ?, packed = ? WHERE run = ? AND sequence = ?",
                      (*pack(values), run, sequence))


def unpack_table(state):
    """The table as it was before samples were packed: a row for each value."""
    state.execute("ALTER TABLE samples RENAME TO packed_samples")
    state.execute("CREATE TABLE samples (run INTEGER NOT NULL REFERENCES runs(key),"
                  " sequence INTEGER NOT NULL, meter INTEGER NOT NULL, boot INTEGER NOT NULL,"
                  " wall INTEGER NOT NULL, value INTEGER NOT NULL,"
                  " PRIMARY KEY (run, sequence, meter)) WITHOUT ROWID")
    for run, sequence, boot, wall, ids, packed in state.execute(
            "SELECT run, sequence, boot, wall, ids, packed FROM packed_samples").fetchall():
        values = unpack(ids, packed)
        # What nothing else was read of had a mark.
        for number, value in (values or {27: 1}).items():
            if value >= 1 << 63:
                value -= 1 << 64
            state.execute("INSERT INTO samples (run, sequence, meter, boot, wall, value)"
                          " VALUES (?, ?, ?, ?, ?, ?)", (run, sequence, number, boot, wall, value))
    state.execute("DROP TABLE packed_samples")
