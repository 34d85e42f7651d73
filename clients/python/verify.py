#!/usr/bin/env python3
"""Checks an export of Modelkeep's audit log: python3 verify.py EXPORT VKEY…

A second, independent implementation of the core of `modelkeep audit verify`, written from the specifications with the
standard library alone: RFC 6962 (tree), RFC 8032 (Ed25519), c2sp.org/signed-note and c2sp.org/tlog-checkpoint. Exit codes:
0 verified, 7 tampered, 2 unusable input.
"""
import base64
import hashlib
import json
import re
import sys


class Tampered(Exception):
    """The content is not what was signed."""


class Unusable(Exception):
    """The input is not an export, or cannot be read."""


# Ed25519 verification. All inputs are public, so timing does not matter. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        result = add(result, point) if bit == "1" else result
    return result


def decode_point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    x = x if x * x % P == x2 else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != x2 or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    public, r = decode_point(key), decode_point(signature[:32])
    if len(signature) != 64 or s >= ORDER or not public or not r:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = multiply(s, BASE), add(r, multiply(k, public))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def decode(text):
    """The decoded bytes of canonical base64; empty for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
        return data if base64.b64encode(data).decode() == text else b""
    except ValueError:
        return b""


def read_key(vkey):
    name, key_id, data = re.fullmatch(r"([^+]*)\+?([^+]*)\+?(.*)", vkey.strip()).groups()
    key = decode(data)
    own_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if not name or len(key) != 33 or key[0] != 1 or own_id.hex() != key_id:
        raise Unusable("key is not an Ed25519 public key, or its id does not match")
    return name, own_id, key[1:]


def open_checkpoint(note, keys):
    """Size and root of the checkpoint. At least one key signed it, and no signature by a key is wrong."""
    name, publics = keys[0][0], {key_id: public for _, key_id, public in keys}
    text, _, lines = note.rpartition("\n\n")
    lines = [re.fullmatch("\u2014 ([^ \n]+) ([^ \n]+)\n", line) for line in re.findall("[^\n]*\n|[^\n]+", lines)]
    if not all(line and decode(line[2]) for line in lines):
        raise Tampered("line 1: checkpoint has a malformed signature")
    data = [decode(line[2]) for line in lines if line[1] == name]
    signed = [is_signed(publics[sign[:4]], text.encode() + b"\n", sign[4:]) for sign in data if sign[:4] in publics]
    parts = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n(?:[^\n]+\n)*", text + "\n")
    if not signed or not all(signed) or not parts or parts[1] != name:
        raise Tampered("line 1: checkpoint is not signed by a key of " + name)
    return int(parts[2]), decode(parts[3])


HEADER = re.compile(r'\{"format":"modelkeep-audit-export/v[12]","checkpoint":("(?:[^"\\]|\\.)*")\}\n')
ENTRY = re.compile(rb'\{"index":(0|[1-9][0-9]*),"hash":"([^"]{44})","leaf":(.*)\}\n')
VALUE = rb'(?:redacted":([1-9][0-9]*)|salt":"([^"]{44})","value":(.*))'
OPENING = re.compile(rb'\{"open":(\d+),"field":"([\w.-]+)","' + VALUE + rb"\}\n")


def erased_by(event):
    """The private values, as (index, field), whose erasure an event records."""
    if event["producer"] == "audit" and event["type"] == "event.redacted.v1":
        return {(event["details"]["index"], field) for field in event["details"]["fields"]}
    if event["producer"] == "audit" and event["type"] == "values.expired.v1":
        return {(index, field) for index, fields in event["details"]["values"].items() for field in fields}
    return set()


class Export:
    """The state after the lines that were read so far."""

    def __init__(self, size):
        self.size, self.count, self.peaks = size, 0, []
        # `awaited`: values that must follow the last entry. `erased`: erased values, by the entry that must record it.
        self.sequences, self.awaited, self.erased = {}, [], {}

    def entry(self, line):
        match = ENTRY.fullmatch(line)
        if not match or int(match[1]) != self.count or self.count >= self.size or self.awaited:
            raise Tampered(f"expected entry {self.count} of {self.size}, after the values of the entry before it")
        node = hashlib.sha256(b"\0" + match[3]).digest()
        if base64.b64encode(node) != match[2]:
            raise Tampered(f"entry {self.count} does not match its hash: one of the two was changed")
        event = json.loads(match[3])["event"]
        producer, expected = event["producer"], self.sequences.get(event["producer"], 0) + 1
        if event["sequence"] != str(expected):
            raise Tampered(f"expected event {expected} of {producer}, found {event['sequence']}: events are missing")
        if erased_by(event) != self.erased.pop(self.count, set()):
            raise Tampered(f"entry {self.count} does not record exactly the erasures that the export shows")
        self.sequences[producer], self.awaited = expected, sorted(event.get("commitments", {}).items())
        position, self.count = self.count, self.count + 1
        while position & 1:
            node, position = hashlib.sha256(b"\1" + self.peaks.pop() + node).digest(), position >> 1
        self.peaks.append(node)

    def opening(self, line):
        match, index = OPENING.fullmatch(line), self.count - 1
        if not match or match[1] != b"%d" % index or not self.awaited or match[2].decode() != self.awaited[0][0]:
            raise Tampered(f"entry {index} does not commit to this value here: values are missing or moved")
        field, commitment = self.awaited.pop(0)
        if match[3]:
            if int(match[3]) <= index:
                raise Tampered(f"a value of entry {index} cannot be erased by entry {int(match[3])}, which is not later")
            self.erased.setdefault(int(match[3]), set()).add((str(index), field))
            return
        salt = decode(match[4].decode())
        if len(salt) != 32 or base64.b64encode(hashlib.sha256(salt + match[5]).digest()).decode() != commitment:
            raise Tampered(f'"{field}" of entry {index} does not match its commitment')

    def root(self):
        node, *peaks = reversed(self.peaks) if self.peaks else [hashlib.sha256().digest()]
        for peak in peaks:
            node = hashlib.sha256(b"\1" + peak + node).digest()
        return node


def verify(lines, keys):
    header = HEADER.fullmatch(next(lines, b"").decode(errors="replace"))
    if not header:
        raise Unusable("the first line is not an export header")
    note = json.loads(header[1])
    if json.dumps(note, ensure_ascii=False) != header[1]:
        raise Unusable("the first line is not in canonical form")
    size, root = open_checkpoint(note, keys)
    export = Export(size)
    for number, line in enumerate(lines, 2):
        try:
            (export.opening if line.startswith(b'{"open"') else export.entry)(line)
        except (Tampered, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Tampered(f"line {number}: {error}") from None
    if export.count != size or export.root() != root or export.awaited:
        raise Tampered(f"the {export.count} entries are not the {size} signed entries with their values")
    if export.erased:
        raise Unusable("values were erased after the last entry; export the log again")
    return size


def main(arguments):
    try:
        keys = [read_key(vkey) for vkey in arguments[1:]]
        if len({name for name, _, _ in keys}) != 1:
            raise Unusable("usage: verify.py EXPORT VKEY…, where all keys belong to one log")
        with open(arguments[0], "rb") as export:
            print(f"verified: {verify(iter(export), keys)} entries")
        return 0
    except Tampered as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 7
    except (Unusable, OSError, ValueError, RecursionError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
