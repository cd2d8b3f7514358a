// Rows as every output of the package has them: the columns in order, numbers rounded, nothing that says nothing.

// `columns` are those of model.json; `values` has a property per column, which may hold lists and rows of its own.
export function asRow(columns, values) {
  const row = {};
  for (const { name, decimals, columns: inner, is_optional: isOptional } of columns) {
    const value = values[name];
    const isSilent = value === undefined || value === null || (isOptional && (value === false || value === ""));
    if (!isSilent) row[name] = inner ? within(value, (one) => asRow(inner, one)) : rounded(value, decimals);
  }
  return row;
}

const within = (value, make) => (Array.isArray(value) ? value.map(make) : make(value));

function rounded(value, decimals) {
  if (Array.isArray(value)) return value.map((one) => rounded(one, decimals));
  if (typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, rounded(one, decimals)]));
  }
  return typeof value === "number" && decimals !== undefined ? round(value, decimals) : value;
}

// As Python's round(): exactly, and a number in the middle goes to the even neighbour.
export function round(value, decimals) {
  const isMiddle = Math.abs(value * 2 ** (decimals + 1)) % 2 === 1; // then its decimals end in a 5
  if (!isMiddle) return Number(value.toFixed(decimals));
  const low = Math.floor(value * 10 ** decimals);
  return (low % 2 === 0 ? low : low + 1) / 10 ** decimals;
}
