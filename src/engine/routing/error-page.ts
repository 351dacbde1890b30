import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { announceEnd, endAfterRequest } from './early-end.js'

const TEXTS = {
  400: ['Bad request', 'This is not a valid HTTP request.'],
  405: ['Method not allowed', 'This method is answered by no app.'],
  404: ['No app here', 'Nothing is deployed at this address. Check the name, or deploy an app to it.'],
  502: [
    'The app does not answer',
    'It is deployed, but its container refused the connection. Try again shortly.',
  ],
  503: ['The app is starting', 'It is deployed and will answer once its containers run. Try again shortly.'],
  busy: ['The server is at its limit', 'The request did not reach the app. Try again shortly.'],
  failed: [
    'The app has failed',
    'Its first version failed after it was deployed, and was stopped. Its deployment says why; deploy again.',
  ],
} as const

/** What may be asked of an app. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Which page: a status, or one of the pages of 503; `busy`: this server lacks what it needs to ask the app. */
export type Page = keyof typeof TEXTS

/** Tells the router's own answers from those of apps. */
export const MARK = 'x-longshore-router'

export function isErrorPage(headers: IncomingHttpHeaders): boolean {
  return headers[MARK] !== undefined
}

/** Answers in the router's own name: a small page, or plain words for programs. */
export function errorPage(incoming: IncomingMessage, response: ServerResponse, page: Page): void {
  const host = incoming.headers.host ?? ''
  const [title, text] = TEXTS[page]
  const status = page === 'busy' || page === 'failed' ? 503 : page
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${status} ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;color:#1c2b33;background:#f4f7f8;display:grid;place-items:center;
min-height:100vh;margin:0}main{max-width:32rem;padding:2rem}h1{font-size:1.5rem;margin:0 0 .5rem}
p{margin:.25rem 0;color:#4a5f6a}code{background:#e3eaed;padding:.1rem .3rem;border-radius:.25rem}</style>
<main><h1>${title}</h1><p><code>${escapeHtml(host.slice(0, 253))}</code></p><p>${text}</p><p>${status} · Longshore</p></main></html>`
  announceEnd(incoming, response)
  // An answer of an app that was refused may have left its words for the status.
  response.writeHead(status, STATUS_CODES[status], {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(page === 405 ? { allow: METHODS } : {}),
    ...(page === 'busy' ? { 'retry-after': '1' } : {}),
    [MARK]: String(page),
  })
  response.write(body)
  endAfterRequest(incoming, response)
}

/** Answers in the place of the app to whom a client wants to have asked no further server. */
export function options(incoming: IncomingMessage, response: ServerResponse): void {
  announceEnd(incoming, response)
  response.writeHead(204, { allow: METHODS, [MARK]: 'options' })
  endAfterRequest(incoming, response)
}

/** Sends the client elsewhere. */
export function redirect(incoming: IncomingMessage, response: ServerResponse, location: string): void {
  announceEnd(incoming, response)
  response.writeHead(308, { Location: location })
  endAfterRequest(incoming, response)
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
