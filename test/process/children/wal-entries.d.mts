export function keyOf(core: number, n: number): string;
export function valueOf(n: number): string;
