# cython: language_level=3, boundscheck=False, wraparound=False
"""Writes records as Avro in C: a tree of writers, one for each type of a schema's text.

``schemas/avro_writer.py`` says when it is used; ``schemas/avro_python.py`` does the same in
Python, and is what this is tested equal to.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

import json
from sys import intern

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.ref cimport PyObject
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    #include <structmember.h>

    static Py_ssize_t penstock_place(PyObject *member) {
        if (!Py_IS_TYPE(member, &PyMemberDescr_Type)) return -1;
        PyMemberDef *told = ((PyMemberDescrObject *)member)->d_member;
        return told->type == T_OBJECT_EX ? told->offset : -1;
    }
    """
    # How many bytes into an instance a slot of its class lies; -1 for what is no slot.
    Py_ssize_t place_of "penstock_place" (object member)

cdef extern from *:
    """
    typedef unsigned __int128 penstock_u128;
    """
    ctypedef unsigned long long u128 "penstock_u128"


cdef class _Bytes:
    """What is being written; it grows, and is used again for the next record."""

    cdef char* start
    cdef Py_ssize_t used, size

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef char* room(self, Py_ssize_t wanted) except NULL:
        """Return where ``wanted`` more bytes may be written."""
        cdef Py_ssize_t size
        cdef char* start
        if self.used + wanted > self.size:
            size = 2 * (self.used + wanted) + 512
            start = <char*>PyMem_Realloc(self.start, size)
            if start is NULL:
                raise MemoryError
            self.start, self.size = start, size
        return self.start + self.used

    cdef int long(self, long long n) except -1:
        """Write a number as zigzag varint: at most ten bytes."""
        cdef unsigned char* at = <unsigned char*>self.room(10)
        cdef unsigned long long rest = (<unsigned long long>n << 1) ^ <unsigned long long>(n >> 63)
        cdef Py_ssize_t size = 0
        while rest > 0x7F:
            at[size] = (rest & 0x7F) | 0x80
            rest >>= 7
            size += 1
        at[size] = rest
        self.used += size + 1
        return 0

    cdef int counted(self, const char* content, Py_ssize_t size) except -1:
        """Write bytes with their length before them."""
        self.long(size)
        memcpy(self.room(size), content, size)
        self.used += size
        return 0


cdef class _Writer:
    cdef int write(self, _Bytes out, object value) except -1:
        raise NotImplementedError


cdef class _Long(_Writer):
    cdef int write(self, _Bytes out, object value) except -1:
        return out.long(value)


cdef class _Boolean(_Writer):
    cdef int write(self, _Bytes out, object value) except -1:
        out.room(1)[0] = 1 if value else 0
        out.used += 1
        return 0


cdef class _String(_Writer):
    cdef int write(self, _Bytes out, object value) except -1:
        cdef Py_ssize_t size
        cdef const char* content = PyUnicode_AsUTF8AndSize(value, &size)
        return out.counted(content, size)


cdef class _Blob(_Writer):
    cdef int write(self, _Bytes out, object value) except -1:
        cdef bytes blob = value
        return out.counted(PyBytes_AsString(blob), PyBytes_GET_SIZE(blob))


cdef class _Nullable(_Writer):
    cdef _Writer other

    def __init__(self, _Writer other):
        self.other = other

    cdef int write(self, _Bytes out, object value) except -1:
        out.room(1)[0] = 0 if value is None else 2
        out.used += 1
        return 0 if value is None else self.other.write(out, value)


cdef class _Array(_Writer):
    cdef _Writer items

    def __init__(self, _Writer items):
        self.items = items

    cdef int write(self, _Bytes out, object value) except -1:
        cdef Py_ssize_t count = len(value)
        if count:
            out.long(count)
            for item in value:
                self.items.write(out, item)
        return out.long(0)


cdef class _Record(_Writer):
    """Reads slots in place: to look them up by name takes a third of all writing."""

    cdef tuple names, writers
    cdef type known
    cdef Py_ssize_t* places

    def __init__(self, tuple names, tuple writers):
        self.names, self.writers = names, writers

    def __dealloc__(self):
        PyMem_Free(self.places)

    cdef int write(self, _Bytes out, object value) except -1:
        cdef Py_ssize_t field
        if type(value) is not self.known:
            self.know(type(value))
        for field in range(len(self.names)):
            (<_Writer>self.writers[field]).write(out, self.read(value, field))
        return 0

    cdef int know(self, type cls) except -1:
        cdef Py_ssize_t field
        cdef size_t size = len(self.names) * sizeof(Py_ssize_t)
        self.known = None
        self.places = <Py_ssize_t*>PyMem_Realloc(self.places, size)
        if self.places is NULL:
            raise MemoryError
        for field in range(len(self.names)):
            self.places[field] = place_of(getattr(cls, <str>self.names[field], None))
        self.known = cls
        return 0

    cdef object read(self, object value, Py_ssize_t field):
        cdef PyObject* told = NULL
        if self.places[field] >= 0:
            told = (<PyObject**>(<char*><PyObject*>value + self.places[field]))[0]
        return getattr(value, <str>self.names[field]) if told is NULL else <object>told


cdef class _Decimal(_Writer):
    """Reads plain digits of up to 38 places itself; any other number is left to Python."""

    cdef int scale
    cdef object rare

    def __init__(self, int scale, rare):
        self.scale, self.rare = scale, rare

    cdef int write(self, _Bytes out, object value) except -1:
        cdef str digits = str(value)
        cdef bytes told
        if self.plain(out, digits):
            return 0
        told = self.rare(digits)
        memcpy(out.room(len(told)), PyBytes_AsString(told), len(told))
        out.used += len(told)
        return 0

    cdef bint plain(self, _Bytes out, str digits) except -1:
        cdef Py_ssize_t size, at = 0
        cdef const char* text = PyUnicode_AsUTF8AndSize(digits, &size)
        cdef bint is_negative = text[0] == c"-"
        cdef int after = -1, places = 0
        cdef u128 unscaled = 0
        for at in range(is_negative, size):
            if text[at] == c"." and after < 0:
                after = 0
            elif c"0" <= text[at] <= c"9" and places < 38:
                unscaled = unscaled * 10 + (text[at] - c"0")
                places += unscaled != 0
                after += after >= 0
            else:
                return False
        after = max(after, 0)
        if after > self.scale or places + self.scale - after > 38:
            return False
        for at in range(self.scale - after):
            unscaled *= 10
        self.twos_complement(out, unscaled, is_negative)
        return True

    cdef int twos_complement(self, _Bytes out, u128 unscaled, bint is_negative) except -1:
        """Write big-endian; one bit beyond the number's own is for its sign."""
        cdef Py_ssize_t size = 1, place
        cdef u128 rest = unscaled >> 7
        cdef char* at
        while rest:
            size += 1
            rest >>= 8
        out.long(size)
        at = out.room(size)
        if is_negative:
            unscaled = ~unscaled + 1
        for place in range(size):
            at[size - 1 - place] = <char>(unscaled & 0xFF)
            unscaled >>= 8
        out.used += size
        return 0


cdef class Encoder:
    """Calling it with a record of ``schemas.records`` returns the record's Avro bytes.

    ``rare`` maps a decimal's scale to a function from digits to Avro bytes, for numbers that
    are not plain digits. Raises ``ValueError`` for a schema that uses what
    ``docs/contract.md`` does not allow.
    """

    cdef _Writer writer
    cdef _Bytes out
    cdef dict records
    cdef object rare

    def __init__(self, str text, rare):
        self.records, self.rare, self.out = {}, rare, _Bytes()
        self.writer = self.writer_of(json.loads(text))

    def __call__(self, record):
        # Whatever an earlier record left unfinished is written over.
        self.out.used = 0
        self.writer.write(self.out, record)
        return PyBytes_FromStringAndSize(self.out.start, self.out.used)

    cdef _Writer writer_of(self, object schema):
        match schema:
            case ["null", other]:
                return _Nullable(self.writer_of(other))
            case {"type": "record"}:
                return self.record(schema)
            case {"type": "array", "items": items}:
                return _Array(self.writer_of(items))
            case {"logicalType": "decimal", "scale": scale}:
                return _Decimal(scale, self.rare(scale))
            case {"type": plain}:
                return self.writer_of(plain)
            case "string":
                return _String()
            case "bytes":
                return _Blob()
            case "int" | "long":
                return _Long()
            case "boolean":
                return _Boolean()
        if isinstance(schema, str) and schema in self.records:
            return self.records[schema]
        raise ValueError(f"no rule for {schema}, see docs/contract.md")

    cdef _Writer record(self, object schema):
        names = tuple([intern(field["name"]) for field in schema["fields"]])
        writers = tuple([self.writer_of(field["type"]) for field in schema["fields"]])
        self.records[schema["name"]] = writer = _Record(names, writers)
        return writer
