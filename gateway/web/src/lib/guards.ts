// Small questions about values from outside.

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A whole number from 0 that JavaScript holds exactly. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The string, or undefined; null counts as absent. */
export const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
