/** The reads that are recorded in the audit log: none, reads of manifests, or reads of bytes as well. */
export const DOWNLOAD_POLICIES = ['off', 'manifests', 'all'] as const
export type DownloadPolicy = (typeof DOWNLOAD_POLICIES)[number]
