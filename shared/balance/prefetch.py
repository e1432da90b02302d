"""Asks the processor to bring memory near before it is needed: LLVM's prefetch, for kernels that wait for memory."""

from collections.abc import Callable
from typing import Any, cast

import numba as nb
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

_FOR_WRITING, _KEEP_NEAR, _DATA = 1, 3, 1


def _prefetch(_context: Any, _address: Any) -> Any:
    """`prefetch(address)` in a kernel: a hint to fetch the cache line at an address of type uint64, for writing.

    It never faults, whatever the address is (LLVM language reference, llvm.prefetch).
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], function_type)
        pointer = builder.inttoptr(arguments[0], byte)
        builder.call(function, [pointer, number(_FOR_WRITING), number(_KEEP_NEAR), number(_DATA)])
        return context.get_dummy_value()

    return nb.void(nb.uint64), generate


prefetch = cast(Callable[[np.uint64], None], intrinsic(_prefetch))
