"""What findings mean, and what to try: the name of each, a text and advice, with their blanks."""

WORDS: dict[str, tuple[str, str]] = {
    "not solved": (
        "The forward solve ended as {status}. With on_failure='nan' such elements have x = NaN and "
        "a gradient of zero.",
        "{advice}.",
    ),
    "overflow": (
        "In {dtype} the loss or its gradient is infinite or NaN; in float64 it is finite. {dtype} "
        "ends at {largest:.2g}.",
        "float64 arguments, a loss in other units, or a GradScaler with a smaller scale.",
    ),
    "loss not finite": (
        "The loss ({value:.3g}) or its derivative is not finite at the solution, in float64 too.",
        "look at the loss at the solution; divisions by zero and logarithms are the usual causes.",
    ),
    "underflow": (
        "In {dtype} the gradient is rounded to zero; in float64 it is not. {dtype} has no normal "
        "numbers below {least:.2g}.",
        "float64 arguments, a loss in other units, or torch.amp.GradScaler.",
    ),
    "saturated unit": (
        "A unit in {where} is saturated, or cuts the gradient: what passes through it is smaller "
        "than what a finite change would do by a factor of {factor:.1g}.",
        "smaller weights or inputs of that unit, a loss of its logits, or no squashing at all; no "
        "detach, rounding or argmax on the way.",
    ),
    "loss at its least": (
        "The loss ({value:.3g}) has no slope at the solution, and every change that was tried "
        "raises it: nothing is left to be learned.",
        "nothing, or another loss.",
    ),
    "loss without the layer": (
        "The loss does not change with the layer's outputs.",
        "look for a detach(), an argmax, a rounding, or a loss of something else.",
    ),
    "oracle of the wrong sense": (
        "The oracle returns better points for the opposite costs: it maximises where the layer "
        "takes it to minimise, or the other way round. Gradients then point uphill, or are zero.",
        "sense='max' (or 'min') of the layer, as the oracle has it.",
    ),
    "oracle that is no minimiser": (
        "The oracle returns cheaper points for other costs than those that it is asked for: it "
        "does not minimise, or stops early.",
        "an exact solver, or a smaller gap at which it stops.",
    ),
    "infeasible tilt": (
        "A loss on multipliers moves right-hand sides, by tau times its gradient, and at tau = "
        "{tau:.3g} no point satisfies the moved constraints.",
        "a smaller tau, tau='auto', or lpgd.Exact().",
    ),
    "failed tilt": (
        "The tilted solve at tau = {tau:.3g} ended as {status}.",
        "a smaller tau, rho > 0, tau='auto', or other options of the engine.",
    ),
    "slack that no x moves": (
        "The loss pulls at a combination of x, or at a slack, that equalities or rows of zeros "
        "fix: no x that satisfies the constraints changes it.",
        "a loss on something that x can change; gradients of the fixing rows are right as they "
        "are.",
    ),
    "tau below the solver's noise": (
        "At tau = {tau:.3g} the solution moves by less than its own error: the gradient is noise, "
        "or rounded to zero.",
        "tau above {least:.1g}, tau='auto', or a tighter tolerance of the engine.",
    ),
    "vertex": (
        "The solution is a vertex, where the derivative in the costs is zero: small changes of the "
        "costs do not move it.",
        "lpgd.LPGD(), whose tilts are large enough to leave the vertex.",
    ),
    "tau below the breakpoint": (
        "The solution is a vertex, and at tau = {tau:.3g} the tilt is too small to leave it: it "
        "does from tau = {low:.3g} on, and in all elements from {high:.3g} on.",
        "a tau above these, or rho > 0; tau='auto' if the objective is not strictly convex.",
    ),
    "loss averaged over the batch": (
        "The solution is a vertex, which it leaves at tau = {low:.3g}, in all elements at "
        "{high:.3g}. A mean over {batch} elements has divided each one's gradient by {batch}, so "
        "that tau = {tau:.3g} tilts as little as tau / {batch} would with a sum.",
        "a sum in place of the mean, a tau above {high:.3g}, or tau='auto'.",
    ),
    "corner": (
        "The solution is a corner of its feasible set, where the derivative in the costs is zero; "
        "the objective is strictly convex, so that tau='auto' and Exact follow the derivative.",
        "lpgd.LPGD with a fixed tau above the breakpoints of the table.",
    ),
    "best point": (
        "The solution stays where it is however large the tilt: as far as the loss's gradient "
        "tells, no point of the feasible set is better.",
        "nothing if the loss is small; else a loss that says more, or other constraints.",
    ),
    "redundant rows": (
        "Active rows depend on each other (e.g. {rows} on others): their multipliers, and so the "
        "gradients of A, b, G, h, lb and ub of these rows, are not unique. Gradients of costs are.",
        "without the redundant rows; sums of the gradients of copies are unique.",
    ),
    "flat face": (
        "The solution is not unique: it lies on an optimal face, and which point of it is returned "
        "is the engine's choice.",
        "rho > 0, a small P, or a cost that tells these points apart.",
    ),
    "degenerate": (
        "The solution is at a kink: a constraint is about to become active, and the derivatives of "
        "both sides differ.",
        "side='average' (the mean of both), or nothing: kinks pass as data change.",
    ),
    "unverified": (
        "The gradient could be neither derived nor verified: the solution is too inaccurate, or "
        "too badly conditioned.",
        "a tighter tolerance of the engine, or better scaled data.",
    ),
}
