// The inference of the demo: the probability of speech by a Silero VAD model.
import { InferenceSession, Tensor, env } from 'onnxruntime-web'

const RATE = 16_000
/** The samples of one step of the model. */
const FRAME = 512
/** The samples of the previous frame that versions with one state tensor need. */
const CONTEXT = 64
const PITCH_HERTZ = 120
/** Formants of some vowels: frequency and bandwidth in hertz. */
const VOWELS = [
  [
    [730, 90],
    [1090, 110],
    [2440, 170],
  ],
  [
    [270, 60],
    [2290, 100],
    [3010, 170],
  ],
  [
    [570, 80],
    [840, 100],
    [2410, 170],
  ],
  [
    [530, 80],
    [1840, 110],
    [2480, 170],
  ],
] as const

/** Returns the mean probability of speech, without the first half second. */
export async function speechProbability(file: string, samples: Float32Array): Promise<number> {
  env.wasm.numThreads = 1
  const session = await InferenceSession.create(file)
  const step = session.inputNames.includes('state') ? statefulStep(session) : legacyStep(session)
  const probabilities: number[] = []
  for (let at = 0; at + FRAME <= samples.length; at += FRAME)
    probabilities.push(await step(samples.slice(at, at + FRAME)))
  await session.release()
  const settled = probabilities.slice(Math.round((RATE / FRAME) * 0.5))
  return settled.reduce((sum, probability) => sum + probability, 0) / settled.length
}

type Step = (frame: Float32Array) => Promise<number>
const rate = (): Tensor => new Tensor('int64', BigInt64Array.of(BigInt(RATE)), [])

function statefulStep(session: InferenceSession): Step {
  let state: Tensor = new Tensor('float32', new Float32Array(2 * 128), [2, 1, 128])
  let context = new Float32Array(CONTEXT)
  return async (frame) => {
    const input = Float32Array.of(...context, ...frame)
    context = frame.slice(-CONTEXT)
    const answer = await session.run({ input: new Tensor('float32', input, [1, input.length]), state, sr: rate() })
    state = answer['stateN'] as Tensor
    return Number(answer['output']!.data[0])
  }
}

function legacyStep(session: InferenceSession): Step {
  const zeros = (): Tensor => new Tensor('float32', new Float32Array(2 * 64), [2, 1, 64])
  let [h, c] = [zeros(), zeros()]
  return async (frame) => {
    const answer = await session.run({ input: new Tensor('float32', frame, [1, frame.length]), sr: rate(), h, c })
    ;[h, c] = [answer['hn'] as Tensor, answer['cn'] as Tensor]
    return Number(answer['output']!.data[0])
  }
}

export function silence(seconds: number): Float32Array {
  return new Float32Array(seconds * RATE)
}

/** Synthesizes a voice: glottal pulses through the formants of changing vowels, in syllables. */
export function voice(seconds: number): Float32Array {
  const samples = new Float32Array(seconds * RATE)
  const filters = VOWELS.map((formants) => formants.map(([frequency, width]) => resonator(frequency, width)))
  let phase = 0
  for (let index = 0; index < samples.length; index += 1) {
    const time = index / RATE
    phase +=
      (PITCH_HERTZ * (1 + 0.08 * Math.sin(2 * Math.PI * 1.3 * time) + 0.02 * Math.sin(2 * Math.PI * 5 * time))) / RATE
    const pulse = phase % 1 < 0.4 ? Math.sin((Math.PI * (phase % 1)) / 0.4) ** 2 - 0.25 : -0.25
    const outputs = filters.map((vowel) => vowel.reduce((sum, filter) => sum + filter(pulse), 0))
    const syllable = Math.floor(time * 4)
    const envelope = Math.sin(Math.PI * ((time * 4) % 1)) ** 0.7
    samples[index] = outputs[syllable % outputs.length]! * envelope
  }
  const peak = samples.reduce((top, sample) => Math.max(top, Math.abs(sample)), 0)
  return samples.map((sample) => (sample / peak) * 0.6)
}

function resonator(frequency: number, width: number): (input: number) => number {
  const radius = Math.exp((-Math.PI * width) / RATE)
  const [a, b] = [2 * radius * Math.cos((2 * Math.PI * frequency) / RATE), -radius * radius]
  let [y1, y2] = [0, 0]
  return (input) => {
    const output = (1 - radius) * input + a * y1 + b * y2
    ;[y2, y1] = [y1, output]
    return output
  }
}
