/** Which reads are told to the log: none, those of manifests, or those of bytes, too. */
export const DOWNLOAD_POLICIES = ['off', 'manifests', 'all'] as const
export type DownloadPolicy = (typeof DOWNLOAD_POLICIES)[number]
