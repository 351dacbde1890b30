import { MAX_RESPONSE_HEAD_BYTES } from '../http1/response-heads.js'
import type { ContainerAnswer } from '../routing/ask-container.js'

/** Of bytes that somebody else wrote, in an error. */
const MAX_QUOTE = 120

/** Whether an HTTP server got the request, however slow it is. */
export function isReached({ kind }: ContainerAnswer): boolean {
  return kind === 'answered' || kind === 'late'
}

/** What a container did with a request, and what to do about it: the end of a sentence. `clean` masks and cleans. */
export function describeAnswer(answer: ContainerAnswer, clean: (text: string) => string): string {
  switch (answer.kind) {
    case 'answered':
      return `answered ${answer.status}`
    case 'late':
      return 'took the connection and has not answered in time'
    case 'unconnected':
      return answer.code === 'ECONNREFUSED'
        ? 'was refused: nothing listens there'
        : `got no connection (${answer.code})`
    case 'closed':
    case 'reset':
      return closed(answer)
    case 'tls':
      return 'met TLS: the router speaks plain HTTP to containers, so turn TLS off in the app, or set the port that it serves HTTP on'
    case 'http2':
      return 'was answered in HTTP/2 without TLS (h2c), as gRPC servers do: the router speaks HTTP/1.1 to containers'
    case 'large-head':
      return `was answered with more than ${MAX_RESPONSE_HEAD_BYTES / 1024} KiB of response headers: send fewer or shorter ones`
    case 'unusable':
      return answer.isHttp
        ? `was answered by HTTP that cannot be passed on (${clean(answer.reason)})${quote(answer.bytes, clean)}`
        : `was answered by bytes that are not HTTP${quote(answer.bytes, clean)}: set the app's port to the one that serves HTTP`
  }
}

function closed({ kind, bytes }: { readonly kind: 'closed' | 'reset'; readonly bytes: number }): string {
  const how = kind === 'closed' ? 'closed' : 'reset'
  const when = bytes === 0 ? 'without an answer' : `after ${bytes} bytes, before the headers were complete`
  return `had its connection ${how} ${when}: see what the container writes`
}

/** Masked whole and then cut: a secret that is cut is none that anybody finds. */
function quote(bytes: Buffer, clean: (text: string) => string): string {
  const text = clean(bytes.toString('utf8').replaceAll(/\s+/g, ' ').trim())
  if (text === '') return ''
  return `: "${text.length > MAX_QUOTE ? `${text.slice(0, MAX_QUOTE).toWellFormed()}…` : text}"`
}
