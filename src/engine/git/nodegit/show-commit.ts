import { type Context, Fatal } from './command.js'
import { Objects } from './objects.js'

const FORMAT = '--format='

/** `git log -1` of one commit, with `%H`, `%ct`, `%s`, `%B` and `%n`. */
export async function showCommit(context: Context): Promise<void> {
  const { options, operands } = context.invocation
  const objects = await Objects.open(context)
  const id = await objects.peel(await objects.resolve(operands[0] ?? ''), 'commit')
  const { type, bytes } = await objects.get(id)
  if (type !== 'commit') throw new Fatal(`bad object ${id}`)
  const { time, subject, message } = partsOf(bytes)
  const fields: Record<string, string> = { H: id, ct: time, s: subject, B: message, n: '\n' }
  const format = options.find((one) => one.startsWith(FORMAT))?.slice(FORMAT.length) ?? '%H'
  await context.write(`${format.replace(/%(H|ct|s|B|n)/g, (_, field: string) => fields[field] ?? '')}\n`)
}

/** A commit is headers, an empty line and the message; the headers may say how the message is encoded. */
function partsOf(commit: Buffer): { time: string; subject: string; message: string } {
  const end = commit.indexOf('\n\n')
  const headers = commit.subarray(0, end < 0 ? commit.length : end).toString('latin1')
  const message = decoded(
    end < 0 ? Buffer.alloc(0) : commit.subarray(end + 2),
    /^encoding (\S+)$/m.exec(headers)?.[1] ?? 'utf-8',
  )
  const [, time = ''] = /^committer .*> (\d+)/m.exec(headers) ?? []
  const [paragraph = ''] = message.replace(/^\s*\n/, '').split(/\n\s*\n/)
  const subject = paragraph.split('\n').map((line) => line.trimEnd())
  return { time, subject: subject.join(' ').trimEnd(), message }
}

function decoded(bytes: Buffer, encoding: string): string {
  try {
    return new TextDecoder(encoding).decode(bytes)
  } catch {
    return bytes.toString('utf8') // nobody knows this encoding
  }
}
