// Does a row pass the page's filters? The server says what rows say of themselves (console/live/filters.py) and what is asked.

export function matches(row, asked) {
  const traits = JSON.parse(row.dataset.traits);
  return Object.entries(asked).every(([name, value]) => traits[name].includes(value));
}
