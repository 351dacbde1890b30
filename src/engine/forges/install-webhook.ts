import { Forge } from '../../entities/webhook-delivery.js'
import { oneLine } from '../quoted-text.js'
import { type ForgeAnswer, type ForgeClient, ForgeError } from './forge-client.js'
import { type ForgeTarget, headersFor, repositoryUrl } from './forge-target.js'

/** More than a forge lets a repository have (GitHub: 20 for each event, GitLab: 100). */
const MAX_PAGES = 5
const PAGE_BYTES = 1024 ** 2
const NEEDS: Partial<Record<Forge, string>> = {
  GITHUB: 'the permission "Webhooks: read and write" (classic tokens: admin:repo_hook)',
  GITLAB: 'the scope api and the role Maintainer',
  GITEA: 'the scope write:repository and an account that administers the repository',
}

export interface WebhookToInstall {
  readonly url: string
  readonly secret: string
}

/**
 * Creates the webhook at the forge. One that has its URL already gets its secret and its events instead.
 *
 * @throws ForgeError that says what the token needs, or what the forge said, without the token and the secret
 */
export async function installWebhook(
  forges: ForgeClient,
  { target, hook }: { readonly target: ForgeTarget; readonly hook: WebhookToInstall },
  signal: AbortSignal,
): Promise<void> {
  const headers = headersFor(target)
  const base = `${repositoryUrl(target)}/hooks`
  const ask = async (method: 'GET' | 'POST' | 'PUT' | 'PATCH', url: string, body?: object) => {
    const answer = await forges.call({ method, url, headers, body }, { signal, maxBytes: PAGE_BYTES })
    return checked(answer, { target, hook })
  }
  const existing = await findHook(hook.url, (page) =>
    ask('GET', `${base}?per_page=100&limit=50&page=${page}`),
  )
  const update = target.forge === Forge.GITLAB ? 'PUT' : 'PATCH'
  if (existing === null) await ask('POST', base, bodyOf(target.forge, hook))
  else await ask(update, `${base}/${existing}`, bodyOf(target.forge, hook))
}

function bodyOf(forge: Forge, { url, secret }: WebhookToInstall): object {
  if (forge === Forge.GITLAB) {
    return { url, token: secret, push_events: true, tag_push_events: true, enable_ssl_verification: true }
  }
  const config = { url, content_type: 'json', secret }
  const named = { active: true, events: ['push'] }
  if (forge === Forge.GITEA) return { type: 'gitea', ...named, config }
  return { name: 'web', ...named, config: { ...config, insecure_ssl: '0' } }
}

interface ListedHook {
  readonly id: number
  readonly url?: string
  readonly config?: { readonly url?: string }
}

/** GitLab has the URL in the hook; of the others that is the address of the hook itself. */
async function findHook(url: string, readPage: (page: number) => Promise<string>): Promise<number | null> {
  for (let page = 1; page <= MAX_PAGES; page++) {
    const hooks = parsed(await readPage(page))
    if (!Array.isArray(hooks)) throw new ForgeError(NO_LIST, true)
    const found = (hooks as ListedHook[]).find((hook) => (hook.config?.url ?? hook.url) === url)
    if (found) return found.id
    if (hooks.length === 0) return null
  }
  return null
}

const NO_LIST = 'the API did not answer with a list of webhooks: check forge and apiUrl'

/** What it says, where it is a success. */
function checked(
  { status, text }: ForgeAnswer,
  {
    target: { forge, token, repository },
    hook,
  }: { readonly target: ForgeTarget; readonly hook: WebhookToInstall },
): string {
  if (status >= 200 && status < 300) return text
  const answered = `the API answered ${status}`
  const needs = `setRepositoryToken with one that has ${NEEDS[forge]}`
  if (status === 401 || status === 403) {
    throw new ForgeError(
      `${answered}: the token may not manage the webhooks of ${repository}: ${needs}`,
      true,
    )
  }
  if (status === 404) {
    const message = `${answered}: there is no ${repository}, or the token may not see its webhooks: check repository and apiUrl, or ${needs}`
    throw new ForgeError(message, true)
  }
  const said = oneLine(messageIn(text).replaceAll(token, '***').replaceAll(hook.secret, '***'), 300)
  const isFinal = status < 500 && status !== 429 && status !== 408
  throw new ForgeError(said === '' ? answered : `${answered}: ${said}`, isFinal)
}

/** What the forges have in `message`, `error` and `errors`; empty: nothing, as in a page of HTML. */
function messageIn(text: string): string {
  const said = parsed(text)
  if (typeof said !== 'object' || said === null) return ''
  const { message, error, errors } = said as Record<string, unknown>
  return [message, error, errors]
    .filter((part) => part !== undefined && part !== null)
    .map((part) => (typeof part === 'string' ? part : JSON.stringify(part)))
    .join(' ')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
