/* global React, ReactDOM, GraphiQL, graphqlWs */

const STORED_TOKEN = 'longshore.token'
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
  })
  return socket
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
  state.textContent = response.status === 401 ? 'The token is missing or wrong.' : ''
  return response.json()
}

function fetcher(request, { headers } = {}) {
  return isSubscription(request) ? subscriptionClient().iterate(request) : post(request, headers)
}

const EXAMPLE = `# Deploy from a Git URL:
#
# mutation {
#   createApp(input: {
#     name: "hello"
#     repoUrl: "https://example.com/you/hello.git"
#   }) {
#     url
#     deployments(first: 1) { nodes { id } }
#   }
# }
#
# Then follow its build:
#
# subscription {
#   deploymentLogs(deploymentId: "…") {
#     text
#     end { status }
#   }
# }

query Apps {
  apps {
    nodes {
      name
      url
      stage { current { id status liveAt } }
    }
  }
}
`

/** A new key mounts the explorer anew, so that it reads the schema with the new token. */
function render() {
  root.render(React.createElement(GraphiQL, { key: token(), fetcher, defaultQuery: EXAMPLE }))
}

document.getElementById('access').addEventListener('submit', (event) => {
  event.preventDefault()
  sessionStorage.setItem(STORED_TOKEN, field.value.trim())
  void socket?.dispose()
  socket = null
  render()
})

field.value = token()
if (token() === '') state.textContent = 'Paste the token that the server printed (DATA_DIR/admin-token).'
render()
