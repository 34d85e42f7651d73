#!/usr/bin/env python3
"""Checks an export of Modelkeep's audit log: python3 verify.py EXPORT VKEY…

A second implementation of `modelkeep audit verify`, made from the specifications and with the standard library alone:
RFC 6962 (tree), RFC 8032 (Ed25519), c2sp.org/signed-note and c2sp.org/tlog-checkpoint. Exit codes: 0 verified,
7 tampered with, 2 unusable input.
"""
import base64
import hashlib
import json
import re
import sys


class Tampered(Exception):
    pass


class Unusable(Exception):
    pass


# Ed25519, verification only: public inputs, so time does not matter. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decode_point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - x2) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verify_signature(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    public, r = decode_point(key), decode_point(signature[:32])
    if len(signature) != 64 or s >= ORDER or not public or not r:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = multiply(s, BASE), add(r, multiply(k, public))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


def strict_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def read_key(vkey):
    name, key_id, encoded = (vkey.strip().split("+", 2) + ["", ""])[:3]
    data = strict_base64(encoded)
    if not name or data is None or len(data) != 33 or data[0] != 1:
        raise Unusable("the key is no Ed25519 public key")
    expected = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if expected.hex() != key_id:
        raise Unusable("the key does not fit its name")
    return name, expected, data[1:]


def open_checkpoint(note, keys):
    """Size and root that one of the keys has signed, and none of them wrongly."""
    name = keys[0][0]
    publics = {key_id: public for _, key_id, public in keys}
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    signed = []
    for line in lines.split("\n")[:-1] if lines.endswith("\n") else []:
        match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
        data = match and strict_base64(match[2])
        if not data:
            raise Tampered("line 1: the checkpoint has a malformed signature")
        if match[1] == name and data[:4] in publics:
            signed.append(verify_signature(publics[data[:4]], text.encode(), data[4:]))
    parts = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n(?:[^\n]+\n)*", text)
    if not signed or not all(signed) or not parts or parts[1] != name:
        raise Tampered("line 1: the checkpoint is not signed by the key of " + name)
    return int(parts[2]), strict_base64(parts[3])


ENTRY = re.compile(rb'\{"index":(0|[1-9][0-9]*),"hash":"([^"]{44})","leaf":(.*)\}\n')
OPENING = re.compile(
    rb'\{"open":(0|[1-9][0-9]*),"field":"([A-Za-z0-9_.-]+)","(?:redacted":([1-9][0-9]*)|salt":"([^"]{44})","value":(.*))\}\n'
)


class Openings:
    """The values beside the leaves: as committed, or erased as the log tells."""

    def __init__(self):
        self.index, self.awaited, self.erased = -1, [], {}

    def begin(self, index, event):
        if self.awaited:
            raise Tampered(f"what entry {self.index} commits to is missing, and no erasure is told")
        self.index, self.awaited = index, sorted(event.get("commitments", {}).items())
        told = set()
        if event.get("type") == "event.redacted.v1" and event["producer"] == "audit":
            told = {(event["details"]["index"], field) for field in event["details"]["fields"]}
        if event.get("type") == "values.expired.v1" and event["producer"] == "audit":
            told = {(index, field) for index, fields in event["details"]["values"].items() for field in fields}
        if told != self.erased.pop(index, set()):
            raise Tampered(f"entry {index} tells of other erasures than are shown")

    def open(self, line, where):
        match = OPENING.fullmatch(line)
        if not match or int(match[1]) != self.index or not self.awaited or match[2].decode() != self.awaited[0][0]:
            raise Tampered(where + "here must be what the entry commits to")
        field, commitment = self.awaited.pop(0)
        if match[3]:
            if int(match[3]) <= self.index:
                raise Tampered(where + "it cannot have been erased by then")
            self.erased.setdefault(int(match[3]), set()).add((str(self.index), field))
            return
        salt = strict_base64(match[4].decode())
        if not salt or len(salt) != 32 or base64.b64encode(hashlib.sha256(salt + match[5]).digest()).decode() != commitment:
            raise Tampered(where + "it is not what the entry commits to")


def read_header(header):
    try:
        content = json.loads(header)
        note, kind = content["checkpoint"], content["format"]
        if list(content) != ["format", "checkpoint"] or kind not in ("modelkeep-audit-export/v1", "modelkeep-audit-export/v2"):
            raise ValueError
        if json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" != header:
            raise ValueError
        return note
    except (ValueError, TypeError, KeyError):
        raise Unusable("the first line is not that of an export") from None


def verify(lines, keys):
    size, root = open_checkpoint(read_header(next(lines, b"")), keys)
    peaks, sequences, count, openings = [], {}, 0, Openings()
    for number, line in enumerate(lines, 2):
        where = f"line {number}: "
        if line.startswith(b'{"open"'):
            openings.open(line, where)
            continue
        match = ENTRY.fullmatch(line)
        if not match or int(match[1]) != count or count >= size:
            raise Tampered(where + f"here must be entry {count} of {size}")
        node = hashlib.sha256(b"\0" + match[3]).digest()
        if base64.b64encode(node) != match[2]:
            raise Tampered(where + "the entry does not have its hash")
        try:
            event = json.loads(match[3])["event"]
            producer, sequence = event["producer"], event["sequence"]
            openings.begin(count, event)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Tampered(where + "the entry is not an event") from None
        expected = sequences.get(producer, 0) + 1
        if sequence != str(expected):
            raise Tampered(where + f"here must be event {expected} of {producer}, not {sequence}")
        sequences[producer] = expected
        position, count = count, count + 1
        while position & 1:
            node, position = hashlib.sha256(b"\1" + peaks.pop() + node).digest(), position >> 1
        peaks.append(node)
    node = peaks.pop() if peaks else hashlib.sha256().digest()
    while peaks:
        node = hashlib.sha256(b"\1" + peaks.pop() + node).digest()
    if count != size or node != root or openings.awaited:
        raise Tampered(f"its {count} entries are not the {size} that were signed, with their values")
    if openings.erased:
        raise Unusable("values were erased after its last entry: export the log again")
    return size


def main(arguments):
    try:
        if len(arguments) < 2:
            raise Unusable("usage: verify.py EXPORT VKEY…")
        keys = [read_key(vkey) for vkey in arguments[1:]]
        if len({key[0] for key in keys}) > 1:
            raise Unusable("the keys are of several logs")
        with open(arguments[0], "rb") as export:
            print(f"verified: {verify(iter(export), keys)} entries")
        return 0
    except Tampered as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 7
    except (Unusable, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
