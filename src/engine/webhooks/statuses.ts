import { Forge } from '../../entities/webhook-delivery.js'

/** How a deployment stands, as forges know it. */
export type CommitState = 'pending' | 'success' | 'failure' | 'ended'

export interface StatusTarget {
  readonly forge: Forge
  /** Without a slash at the end. */
  readonly apiUrl: string
  /** owner/name */
  readonly repository: string
  readonly token: string
}

export interface CommitStatus {
  readonly sha: string
  readonly state: CommitState
  /** Names the status: a later one of the same name replaces it. */
  readonly context: string
  readonly description: string
  readonly targetUrl: string
}

/** A forge that has not taken a status. */
export class StatusError extends Error {
  override name = 'StatusError'
  readonly code = 'STATUS_NOT_TAKEN'

  /** @param isFinal asked again it would say the same */
  constructor(
    message: string,
    readonly isFinal: boolean,
  ) {
    super(message)
  }
}

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 8 * 1024
const GITLAB_STATES = {
  pending: 'pending',
  success: 'success',
  failure: 'failed',
  ended: 'canceled',
} as const

/**
 * Tells the forge. A redirect is followed once, on the same host alone: the token is for that one.
 *
 * @throws StatusError
 */
export async function postStatus(
  target: StatusTarget,
  status: CommitStatus,
  { signal, timeoutMs = TIMEOUT_MS }: { readonly signal: AbortSignal; readonly timeoutMs?: number },
): Promise<void> {
  const request = requestOf(target, status)
  let answer = await post(request, { signal, timeoutMs })
  const moved = movedTo(request.url, answer)
  if (moved !== null) answer = await post({ ...request, url: moved }, { signal, timeoutMs })
  refuse(answer)
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly location: string | null
}

async function post(
  { url, headers, body }: StatusRequest,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Answer> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = AbortSignal.any([signal, timeout])
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'longshore' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: either,
    })
    const location = response.headers.get('location')
    return { status: response.status, text: await beginningOf(response), location }
  } catch (error) {
    // Held until here by its use: a timeout that only AbortSignal.any knows is collected as garbage, and never comes.
    const why = timeout.aborted ? ` within ${timeoutMs / 1000} s` : `: ${reasonOf(error)}`
    throw new StatusError(`no answer${why}`, false)
  }
}

/** Where a renamed repository is now; null: there is no redirect. @throws StatusError where it leads to another host */
function movedTo(url: string, { status, location }: Answer): string | null {
  if (![301, 302, 307, 308].includes(status) || location === null || !URL.canParse(location, url)) return null
  const moved = new URL(location, url)
  if (moved.origin === new URL(url).origin) return moved.href
  const message = `the API redirects (${status}) to ${moved.origin}, to which the token is not sent: correct apiUrl or repository`
  throw new StatusError(message, true)
}

function refuse({ status, text }: Answer): void {
  if (status >= 200 && status < 300) return
  // GitLab refuses to be told twice what it knows already.
  if (status === 400 && /cannot transition status/i.test(text)) return
  if (status >= 300 && status < 400) {
    const message = `the API redirects (${status}) more than once, or nowhere: correct apiUrl or repository`
    throw new StatusError(message, true)
  }
  const isFinal = status < 500 && status !== 429 && status !== 408
  const advice = isFinal ? ': check the token’s rights, apiUrl and repository' : ''
  throw new StatusError(`the API answered ${status}${advice}`, isFinal)
}

interface StatusRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, string>>
}

function requestOf({ forge, apiUrl, repository, token }: StatusTarget, status: CommitStatus): StatusRequest {
  const { sha, state, context, description, targetUrl: target_url } = status
  if (forge === Forge.GITLAB) {
    return {
      url: `${apiUrl}/projects/${encodeURIComponent(repository)}/statuses/${sha}`,
      headers: { 'private-token': token },
      body: { state: GITLAB_STATES[state], name: context, description, target_url },
    }
  }
  const accept = forge === Forge.GITHUB ? 'application/vnd.github+json' : 'application/json'
  return {
    url: `${apiUrl}/repos/${repository}/statuses/${sha}`,
    headers: { authorization: `${forge === Forge.GITHUB ? 'Bearer' : 'token'} ${token}`, accept },
    body: { state: state === 'ended' ? 'error' : state, context, description, target_url },
  }
}

async function beginningOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    parts.push(part)
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) break
  }
  return Buffer.concat(parts).toString('utf8')
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error && cause.message !== '' ? cause.message : message
}
