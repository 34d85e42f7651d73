/** The values of `--lane`. */
export const TRANSFER_MODES = ['auto', 'stream', 'direct'] as const
export type TransferMode = (typeof TRANSFER_MODES)[number]
