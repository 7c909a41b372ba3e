"use strict";
// The conditions of a form, as ..forms.expressions has them in Python. A test evaluates both on the same expressions.
// A value is true, false, a number, a string, a Set of choices, or null where nothing was answered.
const ORDERED = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };
const SUMS = { "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, div: (a, b) => a / b, mod: (a, b) => a % b };

function same(left, right) {
  if (right === "") return left === null || left === "";
  return left !== null && right !== null && left === right;
}

function apply(name, of, situation) {
  const [left, right] = of;
  if (name in ORDERED) return left !== null && right !== null && typeof left === typeof right && ORDERED[name](left, right);
  if (name in SUMS) {
    if (typeof left !== "number" || typeof right !== "number") return null;
    const sum = SUMS[name](left, right);
    return Number.isFinite(sum) ? sum : null;
  }
  switch (name) {
    case "true": return true;
    case "false": return false;
    case "today": return situation.today;
    case "not": return left !== true;
    case "and": return left === true && right === true;
    case "or": return left === true || right === true;
    case "=": return same(left, right);
    case "!=": return !same(left, right);
    case "selected": return left instanceof Set ? left.has(right) : left !== null && left === right;
    case "count-selected": return left instanceof Set ? left.size : 0;
    case "string-length": return typeof left === "string" ? [...left].length : 0;
  }
  throw new Error(name);
}

function evaluate(expression, situation) {
  switch (expression.op) {
    case "constant": return expression.value;
    case "answer": return situation.answers.get(expression.name) ?? null;
    case "here": return situation.here ?? null;
    default: return apply(expression.function, expression.of.map((one) => evaluate(one, situation)), situation);
  }
}

const holds = (expression, situation) => evaluate(expression, situation) === true;
