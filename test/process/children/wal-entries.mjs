/**
 * What the writers of groups append, by a number: key and value.
 */
export const keyOf = (core, n) => `${core}/${n}`;
export const valueOf = (n) => `${n} `.repeat(1 + n % 30);
