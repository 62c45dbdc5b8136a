"""Small changes to the code of functions, one at a time, and how one is put into a live module.

Changed are: comparisons, `and` and `or`, `not`, conditions, numbers and truth values, `+` and `-`,
what is returned, statements that do something, and arguments by keyword. Left alone are texts,
annotations, defaults, assertions and what is written to the log.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from inspect import getsource, isfunction, unwrap
from types import CodeType, FunctionType

import attrs

OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_LEFT_ALONE = (ast.arguments, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)
_LONGEST = 60


@attrs.frozen
class Mutant:
    """One change: what stands in its place, and where."""

    name: str
    """Module, function, and the change; another one of the same kind in a function is numbered."""
    module: str
    function: str
    code: CodeType
    """Of the whole function, changed."""

    def put_in(self) -> None:
        """Change the function in this process, for good."""
        live_function(self.module, self.function).__code__ = self.code


def live_function(module: str, qualname: str) -> FunctionType:
    """Return a function of a module, from under its decorators."""
    found: object = import_module(module)
    for part in qualname.split("."):
        found = vars(found)[part]
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    assert callable(found)
    found = unwrap(found)
    assert isfunction(found), f"{qualname} of {module} is no function"
    return found


def mutants_of(module: str, only: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """Make each change of a module in turn; of some functions only, where they are named."""
    tree = ast.parse(getsource(import_module(module)))
    seen: Counter[str] = Counter()
    for qualname, function in _functions(tree):
        if only and qualname not in only:
            continue
        for node, changed, said in _changes(function):
            with _Swapped(node, changed):
                code = _code_of(tree, qualname, function)
            name = f"{module}:{qualname}: {said}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield Mutant(name, module, qualname, code)


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Iterate over the functions and methods, not those inside of functions."""
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, Function):
            yield f"{prefix}{child.name}", child


@attrs.frozen
class _Place:
    """A field of a node, or an element of a list in it."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@attrs.define
class _Swapped:
    """Another node in a place, as long as the context lasts."""

    _place: tuple[_Place, ast.AST]
    _new: ast.AST

    def __enter__(self) -> None:
        place, old = self._place
        place.put(ast.fix_missing_locations(ast.copy_location(self._new, old)))

    def __exit__(self, *_: object) -> None:
        place, old = self._place
        place.put(old)


def _changes(function: Function) -> Iterator[tuple[tuple[_Place, ast.AST], ast.AST, str]]:
    """Iterate over what can be changed in a function: where, to what, and in words."""
    for place, node in _nodes(function, in_body=True):
        for new in _instead(place, node):
            yield (place, node), new, _said(node, new)


def _said(node: ast.AST, new: ast.AST) -> str:
    """Return a change in words."""
    if isinstance(node, ast.Call) and isinstance(new, ast.Call):
        [left_out] = [word for word in node.keywords if word not in new.keywords]
        return f"{_words(node.func)}({_words(left_out)}) -> without it"
    return f"{_words(node)} -> {_words(new)}"


def _nodes(node: ast.AST, *, in_body: bool = False) -> Iterator[tuple[_Place, ast.AST]]:
    """Iterate over the nodes below one, with their places."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list") or (in_body and field != "body"):
            continue
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if isinstance(child, ast.AST) and not isinstance(child, _LEFT_ALONE):
                if _is_log(child):
                    continue
                yield _Place(node, field, index), child
                yield from _nodes(child)


def _is_log(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith("logger.")


def _instead(place: _Place, node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912  # a table
    """Iterate over what may stand in the place of a node."""
    match node:
        case ast.Compare(left, [op], right) if type(op) in OPPOSITE:
            yield ast.Compare(left, [OPPOSITE[type(op)]()], right)
        case ast.BoolOp(ast.And(), values):
            yield ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(ast.Or(), values):
            yield ast.BoolOp(ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.BinOp(left, ast.Add(), right):
            yield ast.BinOp(left, ast.Sub(), right)
        case ast.BinOp(left, ast.Sub(), right):
            yield ast.BinOp(left, ast.Add(), right)
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call() | ast.Await()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.Assign([ast.Attribute() | ast.Subscript() | ast.Tuple()]):
            yield ast.Pass()
        case ast.Call(func, args, keywords):
            for left_out in keywords:
                yield ast.Call(func, args, [word for word in keywords if word is not left_out])
        case ast.expr() if place.field == "test" and not isinstance(node, ast.Compare):
            yield ast.UnaryOp(ast.Not(), node)


def _words(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _code_of(tree: ast.Module, qualname: str, function: Function) -> CodeType:
    """Compile the module, and return the code of one function of it."""
    code = compile(tree, "<mutant>", "exec", dont_inherit=True)
    first = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    for part in qualname.split("."):
        inner = [const for const in code.co_consts if isinstance(const, CodeType)]
        named = [const for const in inner if const.co_name == part]
        exact = [const for const in named if const.co_firstlineno == first]
        code = (exact or named)[0]
    return code
