"""One law for all models of a ladder: what size brings, what tokens bring, and what the tokens of each data are worth.

    L(N, D, q) = E + A / N^alpha + B_q / D^beta

L: bits per byte; N: total parameters; D: tokens trained on; q: the data. The form, the Huber loss on log L and the
search in logarithms are those of Hoffmann et al. 2022 ("Training Compute-Optimal Large Language Models", approach 3).
That data enters the law by what its tokens are worth is the idea of Muennighoff et al. 2023 ("Scaling Data-Constrained
Language Models"): there for repeated tokens, here for chosen ones.

Shapes: C cells (an arm at a budget), F refits, P free parameters (see `law_fit.py`), Q kinds of data.
"""

from typing import Any

import numpy as np

from hornbook.ablation.cells import Arms, SetBits
from hornbook.ablation.law_fit import (
    ALPHA,
    BETA,
    DATA,
    EXPONENTS,
    FLOOR,
    SIZE,
    Grid,
    bounds,
    fit,
    fit_from_afar,
    grid,
    own_slope,
    predict,
)
from hornbook.ablation.multiplier import interval

REFITS = 200  # resamples behind every interval
SPARE_CELLS, LEAST_SIZES, LEAST_BUDGETS = 2, 3, 2
TOO_WIDE = 10  # times: an exponent whose interval is wider is not known
TOO_FLAT = 1e-5  # of log L: an exponent whose own slope is lower is not known
TOO_LOW = 1e-3  # of L: a term that is nowhere higher is not there
_POSITIVE = 1e-3  # of the lowest bits per byte: seeds far apart have resamples below 0, which have no logarithm
_NUMBERS = ("E", "A", "alpha", "beta")


def law(bits: SetBits, arms: Arms, point_C: np.ndarray, samples_BC: np.ndarray) -> dict[str, Any]:
    """The law of one set as plain data. `point_C` and `samples_BC`: bits per byte from `resampled_bits_per_byte`.

    Every number is a value, low and high; the ends come from refits of the first resamples, each from the point fit
    on. `data_multiplier` is (B_reference / B_q)^(1 / beta): the reference tokens that one token of the data is worth.
    Residuals are log(bpb / fitted). Where the cells cannot tell the exponents, `identified` is False and `note` says
    why and what to add; with too few cells nothing is fitted and the numbers are None.
    """
    names = list(dict.fromkeys([arms.reference, *(arms.data[arm] for arm, _ in bits.cells)]))
    sizes = [arms.parameters[arm] for arm, _ in bits.cells]
    tokens = [budget for _, budget in bits.cells]
    cells = grid(np.array(sizes), np.array(tokens), np.array([names.index(arms.data[arm]) for arm, _ in bits.cells]))
    if note := _too_few(cells.free, sizes, tokens):
        empty: dict[str, Any] = dict.fromkeys(_NUMBERS) | {"B": {}, "data_multiplier": {}}
        rows = _cell_rows(bits, arms, point_C, None)
        residuals = {"rms_residual": None, "max_residual": None}
        return {"set": bits.name, **empty, "cells": rows, **residuals, "identified": False, "note": note}

    least = _POSITIVE * point_C.min()
    found_P = fit_from_afar(point_C, cells)
    losses_FC = np.maximum(samples_BC[:REFITS], least)
    refits_FP, _ = fit(np.tile(found_P, (len(losses_FC), 1)), losses_FC, cells, bounds(point_C, cells))
    log_fitted_C, slope_CP = (array[0] for array in predict(found_P[None], cells))
    residual_C = np.log(point_C) - log_fitted_C

    value, refits = _constants(found_P, cells), _constants(refits_FP, cells)
    numbers = {name: _with_interval(value[name], refits[name]) for name in _NUMBERS}
    unknown_alpha = _unknown("alpha", numbers["alpha"], slope_CP[:, [SIZE]], own_slope(slope_CP, ALPHA), "parameters")
    unknown_beta = _unknown("beta", numbers["beta"], slope_CP[:, DATA:], own_slope(slope_CP, BETA), "tokens")
    note = " ".join(filter(None, (unknown_alpha, unknown_beta)))
    others = [] if unknown_beta else names[1:]  # what tokens are worth has no meaning without their exponent
    return {
        "set": bits.name,
        **numbers,
        "B": {name: _with_interval(value["B"][..., q], refits["B"][..., q]) for q, name in enumerate(names)},
        "data_multiplier": {
            name: _with_interval(value["worth"][..., q], refits["worth"][..., q])
            for q, name in enumerate(others, start=1)
        },
        "cells": _cell_rows(bits, arms, point_C, np.exp(log_fitted_C)),
        "rms_residual": float(np.sqrt((residual_C**2).mean())),
        "max_residual": float(np.abs(residual_C).max()),
        "identified": not note,
        "note": note,
    }


def _constants(at_P: np.ndarray, cells: Grid) -> dict[str, np.ndarray]:
    """The law in the units of its formula, of one fit [P] or of several [F, P]; the reference is data 0."""
    alpha, beta, log_data = np.exp(at_P[..., ALPHA]), np.exp(at_P[..., BETA]), at_P[..., DATA:]
    return {
        "E": np.exp(at_P[..., FLOOR]),
        "A": np.exp(at_P[..., SIZE] + alpha * cells.mean_log_size),
        "alpha": alpha,
        "beta": beta,
        "B": np.exp(log_data + beta[..., None] * cells.mean_log_tokens),
        "worth": np.exp((log_data[..., :1] - log_data) / beta[..., None]),
    }


def _with_interval(value: np.ndarray, refits_F: np.ndarray) -> dict[str, float]:
    low, high = interval(refits_F)
    return {"value": float(value), "low": low, "high": high}


def _cell_rows(bits: SetBits, arms: Arms, point_C: np.ndarray, fitted_C: np.ndarray | None) -> list[dict[str, Any]]:
    rows = []
    for index, (arm, budget) in enumerate(bits.cells):
        about = {"arm": arm, "data": arms.data[arm], "parameters": arms.parameters[arm], "budget": budget}
        bpb, fitted, residual = float(point_C[index]), None, None
        if fitted_C is not None:
            fitted = float(fitted_C[index])
            residual = float(np.log(bpb / fitted))
        rows.append({**about, "bpb": bpb, "fitted": fitted, "residual": residual})
    return rows


def _too_few(free: int, sizes: list[int], tokens: list[int]) -> str:
    """Why there is nothing to fit, or ""."""
    cells, different_sizes, budgets = len(sizes), len(set(sizes)), len(set(tokens))
    if cells >= free + SPARE_CELLS and different_sizes >= LEAST_SIZES and budgets >= LEAST_BUDGETS:
        return ""
    return (
        f"The law has {free} free parameters. It needs {free + SPARE_CELLS} models, {LEAST_SIZES} sizes and "
        f"{LEAST_BUDGETS} budgets at least; there are {cells}, {different_sizes} and {budgets}. "
        "Add sizes to the ladder or budgets to its arms."
    )


def _unknown(name: str, found: dict[str, float], term_C1: np.ndarray, slope: float, what: str) -> str:
    """Why an exponent is not known, or "". `term_C1`: how much of L its term is; `slope`: see `own_slope`."""
    remedy = f"Add models with fewer and with more {what}, or more texts and seeds."
    if term_C1.max() < TOO_LOW:
        return f"{name} is not known: bits per byte do not fall with more {what}. {remedy}"
    if slope < TOO_FLAT:
        return f"{name} is not known: other values fit these models as well. {remedy}"
    at_end = found["low"] <= EXPONENTS[0] * 1.001 or found["high"] >= EXPONENTS[1] / 1.001
    if at_end or found["high"] > TOO_WIDE * found["low"]:
        return f"{name} is not known: anything from {found['low']:.2g} to {found['high']:.2g} is possible. {remedy}"
    return ""
