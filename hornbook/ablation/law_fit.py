"""Fitting the law of `law.py`, many times at once: all starts of the point fit, or all resamples of an interval.

Sizes and tokens are logarithms that are 0 at their means, so that a term and its exponent can be found apart. The free
parameters are the logarithms of E, A / N0^alpha, alpha, beta and B_q / D0^beta, which keeps all of them above 0.

Shapes: C cells (an arm at a budget), F fits side by side, P free parameters.
"""

from dataclasses import dataclass

import numpy as np

FLOOR, SIZE, ALPHA, BETA, DATA = range(5)  # places of the free parameters; from DATA on one for each data
HUBER = 1e-3  # of log L: larger residuals count by their size, not by their square
EXPONENTS = (0.02, 4.0)  # least and most; measured ones are mostly between 0.1 and 0.8
_ENDS = (1e-5, 10.0)  # least and most of a term, in lowest and highest bits per byte
_STEPS = 300  # nearly all fits end sooner; what the others would still gain is far below the intervals


@dataclass(frozen=True)
class Grid:
    """The cells that the law is fitted to, and the means that were taken off their logarithms."""

    log_size_C: np.ndarray
    log_tokens_C: np.ndarray
    data_C: np.ndarray  # 0, 1, ...: which data
    mean_log_size: float
    mean_log_tokens: float

    @property
    def free(self) -> int:
        """Free parameters of the law."""
        return DATA + int(self.data_C.max()) + 1


def grid(sizes_C: np.ndarray, tokens_C: np.ndarray, data_C: np.ndarray) -> Grid:
    """The grid of these parameters, tokens and kinds of data."""
    log_size_C, log_tokens_C = np.log(sizes_C), np.log(tokens_C)
    size, tokens = float(log_size_C.mean()), float(log_tokens_C.mean())
    return Grid(log_size_C - size, log_tokens_C - tokens, data_C, size, tokens)


def fit_from_afar(loss_C: np.ndarray, cells: Grid) -> np.ndarray:
    """The best [P] of 27 fits: E a small or a large part of the lowest loss, exponents small or large, equal terms."""
    starts = []
    for floor in np.array([0.1, 0.5, 0.9]) * loss_C.min():
        term = np.log((np.median(loss_C) - floor) / 2)
        for alpha in (0.1, 0.3, 0.9):
            for beta in (0.1, 0.3, 0.9):
                starts.append([np.log(floor), term, np.log(alpha), np.log(beta), *[term] * (cells.free - DATA)])
    found_FP, cost_F = fit(np.array(starts), np.tile(loss_C, (len(starts), 1)), cells, bounds(loss_C, cells))
    return found_FP[cost_F.argmin()]


def bounds(loss_C: np.ndarray, cells: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Least and most [P] of each free parameter."""
    low_P = np.full(cells.free, np.log(_ENDS[0] * loss_C.min()))
    high_P = np.full(cells.free, np.log(_ENDS[1] * loss_C.max()))
    low_P[[ALPHA, BETA]], high_P[[ALPHA, BETA]] = np.log(EXPONENTS)
    return low_P, high_P


def fit(
    start_FP: np.ndarray, loss_FC: np.ndarray, cells: Grid, ends: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Free parameters [F, P] near `start_FP`, within `ends`, with the least Huber loss [F] on log `loss_FC`.

    Levenberg-Marquardt (Marquardt 1963) on residuals weighted for Huber's loss. It finds what scipy's `least_squares`
    finds (a test compares them) in far less time, because all fits take their steps together.
    """
    low_P, high_P = ends
    log_loss_FC = np.log(loss_FC)

    def look(at_FP: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log_fitted_FC, slope_FCP = predict(at_FP, cells)
        residual_FC = log_fitted_FC - log_loss_FC
        far_FC = np.abs(residual_FC)
        cost_FC = np.where(far_FC <= HUBER, residual_FC**2 / 2, HUBER * (far_FC - HUBER / 2))
        return residual_FC, slope_FCP, cost_FC.sum(axis=1)

    at_FP = np.clip(start_FP, low_P, high_P)
    residual_FC, slope_FCP, cost_F = look(at_FP)
    damping_F, going_F = np.full(len(at_FP), 1e-2), np.full(len(at_FP), True)
    for _ in range(_STEPS):
        weight_FC = HUBER / np.maximum(np.abs(residual_FC), HUBER)
        weighted_FCP = weight_FC[..., None] * slope_FCP
        downhill_FP = -np.einsum("fcp,fc->fp", weighted_FCP, residual_FC)
        # A parameter at its bound stays there while downhill is beyond it.
        free_FP = ~(((at_FP <= low_P) & (downhill_FP < 0)) | ((at_FP >= high_P) & (downhill_FP > 0)))
        curve_FPP = np.einsum("fcp,fcq->fpq", weighted_FCP, slope_FCP) * free_FP[:, :, None] * free_FP[:, None, :]
        damped_FP = damping_F[:, None] * np.einsum("fpp->fp", curve_FPP) + 1e-14
        curve_FPP += damped_FP[..., None] * np.eye(curve_FPP.shape[1])
        step_FP = np.linalg.solve(curve_FPP, (downhill_FP * free_FP)[..., None])[..., 0]

        tried_FP = np.clip(at_FP + step_FP, low_P, high_P)
        tried = look(tried_FP)
        gain_F = cost_F - tried[2]
        better_F = going_F & (gain_F > 0)
        at_FP = np.where(better_F[:, None], tried_FP, at_FP)
        residual_FC = np.where(better_F[:, None], tried[0], residual_FC)
        slope_FCP = np.where(better_F[:, None, None], tried[1], slope_FCP)
        going_F &= ((gain_F < 0) | (gain_F > 1e-10 * cost_F)) & (damping_F < 1e8)
        cost_F = np.where(better_F, tried[2], cost_F)
        damping_F = np.clip(np.where(better_F, damping_F / 3, damping_F * 4), 1e-9, 1e9)
        if not going_F.any():
            break
    return at_FP, cost_F


def predict(at_FP: np.ndarray, cells: Grid) -> tuple[np.ndarray, np.ndarray]:
    """log L [F, C] of the law, and its slope along each free parameter [F, C, P]."""
    alpha_F1, beta_F1 = np.exp(at_FP[:, [ALPHA]]), np.exp(at_FP[:, [BETA]])
    of_floor_F1 = np.exp(at_FP[:, [FLOOR]])
    of_size_FC = np.exp(at_FP[:, [SIZE]] - alpha_F1 * cells.log_size_C)
    of_data_FC = np.exp(at_FP[:, DATA + cells.data_C] - beta_F1 * cells.log_tokens_C)
    loss_FC = of_floor_F1 + of_size_FC + of_data_FC
    slope_FCP = np.zeros((*loss_FC.shape, at_FP.shape[1]))
    slope_FCP[..., FLOOR] = of_floor_F1
    slope_FCP[..., SIZE] = of_size_FC
    slope_FCP[..., ALPHA] = -alpha_F1 * cells.log_size_C * of_size_FC
    slope_FCP[..., BETA] = -beta_F1 * cells.log_tokens_C * of_data_FC
    slope_FCP[:, np.arange(len(cells.data_C)), DATA + cells.data_C] = of_data_FC
    return np.log(loss_FC), slope_FCP / loss_FC[..., None]


def own_slope(slope_CP: np.ndarray, place: int) -> float:
    """What a factor of e in one parameter changes in log L (root mean square) when all others give way to it."""
    own_C, others_CP = slope_CP[:, place], np.delete(slope_CP, place, axis=1)
    left_C = own_C - others_CP @ np.linalg.lstsq(others_CP, own_C, rcond=None)[0]
    return float(np.sqrt((left_C**2).mean()))
