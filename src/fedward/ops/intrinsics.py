"""Operations on bits that Numba lacks, for `compiled`.

Written in LLVM's own terms, which every processor's code is made from.
"""

from typing import no_type_check

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
@no_type_check
def signs_of_eight(typing, bits, start):
    """The sign bits of eight consecutive signed integers, the first one lowest."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        array = context.make_array(bits)(context, builder, arguments[0])
        eight = ir.VectorType(context.get_data_type(bits.dtype), 8)
        first = builder.bitcast(builder.gep(array.data, [arguments[1]]), eight.as_pointer())
        loaded = builder.load(first, align=bits.dtype.bitwidth // 8)
        negative = builder.icmp_signed("<", loaded, ir.Constant(eight, None))
        return builder.bitcast(negative, ir.IntType(8))

    return types.uint8(bits, start), generate


@intrinsic
@no_type_check
def eight_beyond(typing, bits, start, cut):
    """Which of eight consecutive magnitudes exceed a magnitude, the first one lowest."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        array = context.make_array(bits)(context, builder, arguments[0])
        entry = context.get_data_type(bits.dtype)
        eight = ir.VectorType(entry, 8)
        first = builder.bitcast(builder.gep(array.data, [arguments[1]]), eight.as_pointer())
        loaded = builder.load(first, align=bits.dtype.bitwidth // 8)
        every = entry((1 << (bits.dtype.bitwidth - 1)) - 1)
        magnitudes = builder.and_(loaded, ir.Constant(eight, [every] * 8))
        limit = context.cast(builder, arguments[2], cut, bits.dtype)
        limits = ir.Constant(eight, ir.Undefined)
        for lane in range(8):
            limits = builder.insert_element(limits, limit, ir.IntType(32)(lane))
        beyond = builder.icmp_signed(">", magnitudes, limits)
        return builder.bitcast(beyond, ir.IntType(8))

    return types.uint8(bits, start, cut), generate


@intrinsic
@no_type_check
def magnitude_of(typing, bits):
    """The bits of the absolute value; ordered as the absolute values are."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        every = (1 << (bits.bitwidth - 1)) - 1
        return builder.and_(arguments[0], ir.Constant(arguments[0].type, every))

    return bits(bits), generate


@intrinsic
@no_type_check
def ones(typing, word):
    """How many bits of a word are set."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return word(word), generate


@intrinsic
@no_type_check
def ask_for(typing, array, place):
    """Have an entry brought into the cache; a place behind the end does no harm."""

    @no_type_check
    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        where = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        # To read, to be kept in every cache, data and not code.
        builder.call(prefetch, [where, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, place), generate
