/** The few that are offered; any other that somebody chose is shown all the same. */
export const PALETTE = ['👍', '❤️', '😂', '😮', '😢', '🙏'] as const;
