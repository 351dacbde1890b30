/* global React, ReactDOM, GraphiQL, graphqlWs */

const STORED_TOKEN = 'longshore.token'
/** graphql-transport-ws: the server does not take the token. */
const FORBIDDEN = 4403
const WRONG = 'The token is missing or wrong. It is ADMIN_TOKEN, or in DATA_DIR/admin-token.'
/** Lines of a log that are shown; older ones leave. */
const MAX_LINES = 2000
const field = document.getElementById('token')
const state = document.getElementById('state')
const root = ReactDOM.createRoot(document.getElementById('explorer'))
let socket = null

/** One client for all subscriptions of a token; it connects with the first and ends with the last. */
function subscriptionClient() {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  socket ??= graphqlWs.createClient({
    url: `${scheme}://${location.host}/graphql`,
    connectionParams: () => ({ authorization: `Bearer ${token()}` }),
    shouldRetry: (event) => event?.code !== FORBIDDEN,
    on: {
      connected: () => say(''),
      closed: ({ code }) => code === FORBIDDEN && say(WRONG),
    },
  })
  return socket
}

function say(text) {
  state.textContent = text
}

function token() {
  return sessionStorage.getItem(STORED_TOKEN) ?? ''
}

/** By the text: what GraphiQL knows of the document is a moment older than what is on the screen. */
function isSubscription({ query, operationName }) {
  const text = query.replaceAll(/"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|#.*/g, '')
  const operations = [...text.matchAll(/\b(query|mutation|subscription)\b\s*(\w*)|^\s*(\{)/gm)]
  const named = operations.find((operation) => operationName && operation[2] === operationName)
  return (named ?? operations[0])?.[1] === 'subscription'
}

async function post(request, headers) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token()}`, ...headers },
    body: JSON.stringify(request),
  })
  say(response.status === 401 ? WRONG : '')
  return response.json()
}

function fetcher(request, { headers } = {}) {
  return isSubscription(request) ? growing(subscriptionClient().iterate(request)) : post(request, headers)
}

/** GraphiQL shows the last event alone: of a log each one gets all lines so far, one below the other. */
async function* growing(events) {
  const lines = {}
  for await (const event of events) {
    for (const [field, value] of Object.entries(event.data ?? {})) {
      if (typeof value?.text !== 'string') continue
      const known = lines[field] ?? []
      lines[field] = [...known, ...value.text.split('\n').slice(0, -1)].slice(-MAX_LINES)
      event.data[field] = { ...value, text: lines[field] }
    }
    yield event
  }
}

const TABS = [
  `# Your apps, where they answer and what runs. Run it with Ctrl+Enter.
query Apps {
  apps {
    nodes {
      id
      name
      url
      stage { id current { id status liveAt } }
      latestDeployment { id status error { code message } }
    }
  }
}
`,
  `# Creates an app and deploys it. A repository without a Dockerfile is built by what is in it.
mutation CreateApp {
  createApp(input: { name: "hello", repoUrl: "https://example.com/you/hello.git" }) {
    id
    url
    latestDeployment { id }
  }
}
`,
  `# Follows a build, from its first line to its end. The id is of createApp, deploy or Apps.
subscription FollowLog($id: ID!) {
  deploymentLogs(deploymentId: $id) {
    text
    end { status }
  }
}
`,
  `# Deploys the newest commit of a stage's branch, or another branch, tag or commit.
mutation Deploy($app: ID!) {
  deploy(appId: $app, input: { stage: "production" }) {
    id
    status
  }
}
`,
  `# Goes back to the release before: its image and its configuration, without a build.
mutation Rollback($app: ID!) {
  rollback(appId: $app) {
    id
    status
    source { id commitSha commitMessage }
  }
}
`,
  `# Sets variables of a stage, for its next deployment. Values are stored encrypted and never shown.
mutation SetVariables($stage: ID!) {
  setVariables(stageId: $stage, variables: [{ key: "GREETING", value: "hello" }]) {
    variables { key fingerprint updatedAt }
  }
}
`,
]
const VARIABLES = { 2: { id: '' }, 3: { app: '' }, 4: { app: '' }, 5: { stage: '' } }

/** Those that a person has opened before are kept: GraphiQL takes these the first time only. */
const defaultTabs = TABS.map((query, index) => ({
  query,
  variables: VARIABLES[index] ? JSON.stringify(VARIABLES[index], null, 2) : undefined,
}))

/** A new key mounts the explorer anew, so that it reads the schema with the new token. */
function render() {
  root.render(React.createElement(GraphiQL, { key: token(), fetcher, defaultTabs }))
}

function use(given) {
  sessionStorage.setItem(STORED_TOKEN, given)
  field.value = given
  void socket?.dispose()
  socket = null
  render()
}

/** For the browser's session over its tabs: a new one asks those that are open. Nothing is written to disk. */
const tabs = new BroadcastChannel(STORED_TOKEN)
tabs.onmessage = ({ data }) => {
  if (data.asks && token() !== '') tabs.postMessage({ token: token() })
  if (data.token && data.token !== token()) use(data.token)
}

document.getElementById('access').addEventListener('submit', (event) => {
  event.preventDefault()
  use(field.value.trim())
  tabs.postMessage({ token: token() })
})

field.value = token()
if (token() === '') {
  say('Paste the admin token: ADMIN_TOKEN, or what is in DATA_DIR/admin-token.')
  tabs.postMessage({ asks: true })
}
render()
