// What lies in a bucket, page by page. Of objects only keys of our form are told.
import type { Client } from 'minio'
import { isObjectKey, MARKS, type ListedObject, type ListedUpload } from '../byte-store.ts'

type Call = <T>(work: () => Promise<T>) => Promise<T>

export async function* listObjects(client: Client, bucket: string, call: Call): AsyncIterable<ListedObject> {
  let token = ''
  do {
    const from = token
    const page = await call(() => client.listObjectsV2Query(bucket, '', from, '', 1000, ''))
    for (const { name, size, lastModified } of page.objects) {
      if (name && isObjectKey(name)) yield { key: name, sizeBytes: size, modifyTime: lastModified }
    }
    token = page.isTruncated ? page.nextContinuationToken : ''
  } while (token !== '')
}

/** Whatever lies among the marks is one. */
export async function listMarks(client: Client, bucket: string, call: Call): Promise<string[]> {
  const { objects } = await call(() => client.listObjectsV2Query(bucket, MARKS, '', '', 1000, ''))
  return objects.flatMap(({ name }) => (name ? [name.slice(MARKS.length)] : []))
}

/** All are asked for at once: MinIO answers no prefix but a whole key. */
export async function* listUploads(client: Client, bucket: string, call: Call): AsyncIterable<ListedUpload> {
  let [key, upload] = ['', '']
  do {
    const [fromKey, fromUpload] = [key, upload]
    const page = await call(() => client.listIncompleteUploadsQuery(bucket, '', fromKey, fromUpload, ''))
    for (const { key: name, uploadId, initiated } of page.uploads) {
      if (isObjectKey(name)) yield { key: name, uploadId, modifyTime: new Date(initiated) }
    }
    ;[key, upload] = page.isTruncated ? [page.nextKeyMarker, page.nextUploadIdMarker] : ['', '']
  } while (key !== '')
}
