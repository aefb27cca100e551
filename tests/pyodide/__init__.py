"""Tests on CPython 3.14 as WebAssembly, in Node: whatever needs no server, no thread and no event loop."""
