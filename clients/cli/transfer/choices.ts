/** What `--lane` takes. */
export const LANE_CHOICES = ['auto', 'stream', 'direct'] as const
export type LaneChoice = (typeof LANE_CHOICES)[number]
