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
 * Tells the forge. A redirect is not followed: the token is for one host.
 *
 * @throws StatusError
 */
export async function postStatus(
  target: StatusTarget,
  status: CommitStatus,
  { signal, timeoutMs = TIMEOUT_MS }: { readonly signal: AbortSignal; readonly timeoutMs?: number },
): Promise<void> {
  const { url, headers, body } = requestOf(target, status)
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = AbortSignal.any([signal, timeout])
  let answer: { status: number; text: string }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'longshore' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: either,
    })
    answer = { status: response.status, text: await beginningOf(response) }
  } catch (error) {
    // Held until here by its use: a timeout that only AbortSignal.any knows is collected as garbage, and never comes.
    const why = timeout.aborted ? ` within ${timeoutMs / 1000} s` : `: ${reasonOf(error)}`
    throw new StatusError(`no answer${why}`, false)
  }
  if (answer.status >= 200 && answer.status < 300) return
  // GitLab refuses to be told twice what it knows already.
  if (answer.status === 400 && /cannot transition status/i.test(answer.text)) return
  if (answer.status >= 300 && answer.status < 400) {
    throw new StatusError(
      `the API redirects (${answer.status}), and redirects are not followed: correct apiUrl or repository`,
      true,
    )
  }
  const isFinal = answer.status < 500 && answer.status !== 429 && answer.status !== 408
  const advice = isFinal ? ': check the token’s rights, apiUrl and repository' : ''
  throw new StatusError(`the API answered ${answer.status}${advice}`, isFinal)
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
