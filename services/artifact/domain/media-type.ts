// The ModelPack media types of single, unpacked files.
// https://github.com/modelpack/model-spec/blob/main/docs/spec.md
import { failField } from '#lib/errors/errors.ts'

const WEIGHT = 'application/vnd.cncf.model.weight.v1.raw'
const WEIGHT_CONFIG = 'application/vnd.cncf.model.weight.config.v1.raw'
const DOC = 'application/vnd.cncf.model.doc.v1.raw'
const CODE = 'application/vnd.cncf.model.code.v1.raw'
const DATASET = 'application/vnd.cncf.model.dataset.v1.raw'
const MEDIA_TYPES = [WEIGHT, WEIGHT_CONFIG, DOC, CODE, DATASET]

const NAMES: [RegExp, string][] = [
  [/^(readme|licen[cs]e|notice|copying|changelog|authors|contributors|citation|model_?card)\b/i, DOC],
  [/^(dockerfile|makefile|requirements.*\.txt|pipfile|poetry\.lock|uv\.lock)$/i, CODE],
  [/^(vocab|merges|labels|classes|special_tokens.*)\.txt$/i, WEIGHT_CONFIG],
  [/\.(md|rst|txt|pdf|html?|adoc|tex|png|jpe?g|gif|svg|webp)$/i, DOC],
  [/\.(json|ya?ml|toml|ini|cfg|conf|xml|jinja2?|tiktoken|config|pbtxt|prototxt)$/i, WEIGHT_CONFIG],
  [/\.(py|ipynb|sh|c|cc|cpp|cu|h|hpp|go|rs|java|kt|js|ts|mjs|jl|r|lua|cs|swift|sql)$/i, CODE],
  [/\.(csv|tsv|jsonl|ndjson|parquet|arrow|feather|avro|tfrecords?|orc)$/i, DATASET],
]

/** Checks that the type is one of ModelPack. An empty type is chosen by the name of the file. */
export function parseMediaType(mediaType: string, path: string, field: string): string {
  if (mediaType === '') return chooseMediaType(path)
  if (!MEDIA_TYPES.includes(mediaType)) failField(field, `must be empty or one of ${MEDIA_TYPES.join(', ')}`)
  return mediaType
}

function chooseMediaType(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return NAMES.find(([pattern]) => pattern.test(name))?.[1] ?? WEIGHT
}
