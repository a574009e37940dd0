"""Makes memories answer wrongly where a read finds a write to the same place in the same cycle.

Synthesis is told that nothing relies on such an answer (``COLLISION_X_MASK`` in ``dcgen/synth/bitstream.py``);
an engine that works with these memories shows it.
"""

from __future__ import annotations

import re

MEMORY = re.compile(r"^  reg \[\d+:0\] (\w+) \[\d+:0\];$", re.MULTILINE)
WRITE = r"    if \((?P<enable>.+)\)\n      {name}\[(?P<address>.+)\] <= .+;\n"
READ = r"(?P<to>_\d+_) <= {name}\[(?P<address>.+)\];"


def spoil(verilog: str) -> tuple[str, int]:
    """``verilog``, as Amaranth writes it, with such memories; and the number of clocked read ports changed.

    The wrong answer is the complement of what was in the memory before the write.
    """
    modules, ports = re.split(r"(?<=endmodule\n)", verilog), 0
    for number, module in enumerate(modules):
        for name in MEMORY.findall(module):
            write = re.search(WRITE.format(name=name), module)
            if write is None:
                continue  # a constant table
            hit = f"({write['enable']}) && ({write['address']}) == "

            def answer(read: re.Match[str], name: str = name, hit: str = hit) -> str:
                found = f"{name}[{read['address']}]"
                return f"{read['to']} <= {hit}({read['address']}) ? ~{found} : {found};"

            module, spoiled = re.subn(READ.format(name=name), answer, module)
            ports += spoiled
        modules[number] = module
    return "".join(modules), ports
