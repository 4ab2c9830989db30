// One scenario with the stock client, named by the first argument; prints what came of it as JSON.
const { BatchRequestContent, BatchResponseContent, PageIterator } = require("@microsoft/microsoft-graph-client");

const { client } = require("./client.cjs");

const { DOMAIN } = process.env;

const unique = () => `js-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;

function newUser() {
  const name = unique();
  return {
    accountEnabled: true,
    displayName: `Script ${name}`,
    mailNickname: name,
    userPrincipalName: `${name}@${DOMAIN}`,
    passwordProfile: { password: `Pass-${name}-word.1` },
  };
}

async function every(page) {
  const found = [];
  const iterator = new PageIterator(client, page, (item) => Boolean(found.push(item)));
  await iterator.iterate();
  return { found, deltaLink: iterator.getDeltaLink(), complete: iterator.isComplete() };
}

async function refusal(request) {
  try {
    return { answered: await request };
  } catch (error) {
    const { statusCode, code, message, requestId, body } = error;
    return { name: error.constructor.name, statusCode, code, message, requestId, body: JSON.parse(body) };
  }
}

const scenarios = {
  async list() {
    const page = await client
      .api("/users")
      .filter("onPremisesSyncEnabled eq true")
      .select(["id", "userPrincipalName"])
      .top(7)
      .get();
    const { found, complete } = await every(page);
    return { first: page.value.length, complete, found };
  },

  async advanced() {
    return client
      .api("/users")
      .header("ConsistencyLevel", "eventual")
      .count(true)
      .filter("department eq 'Sales' and onPremisesSyncEnabled eq true")
      .orderby("displayName desc")
      .select("displayName")
      .top(3)
      .get();
  },

  async log() {
    const page = await client
      .api("/auditLogs/provisioning")
      .filter("provisioningAction eq 'create'")
      .orderby("activityDateTime asc")
      .top(30)
      .get();
    const { found } = await every(page);
    return found.map(({ id, activityDateTime, provisioningAction }) => ({ id, activityDateTime, provisioningAction }));
  },

  async life() {
    const wanted = newUser();
    const made = await client.api("/users").post(wanted);
    const one = client.api(`/users/${made.id}`);
    await one.patch({ jobTitle: "Script" });
    const changed = await client.api(`/users/${made.id}`).select("jobTitle,userPrincipalName").get();
    await client.api(`/users/${made.id}`).delete();
    const gone = await refusal(client.api(`/users/${made.id}`).get());
    return { wanted, made, changed, gone };
  },

  async delta() {
    const first = await every(await client.api("/users/delta").select("displayName").get());
    const made = await client.api("/users").post(newUser());
    const second = await every(await client.api(first.deltaLink).get());
    await client.api(`/users/${made.id}`).delete();
    const third = await every(await client.api(second.deltaLink).get());
    return { first: first.found.length, made, second: second.found, third: third.found };
  },

  async batch() {
    const wanted = newUser();
    const json = { "Content-Type": "application/json" };
    const root = "https://ignored.example";
    const make = new Request(`${root}/users`, { method: "POST", headers: json, body: JSON.stringify(wanted) });
    const list = new Request(`${root}/users?$top=2&$select=id`, { method: "GET" });
    const nobody = new Request(`${root}/users/nobody@${DOMAIN}`, { method: "GET" });
    const content = new BatchRequestContent([
      { id: "make", request: make },
      { id: "list", request: list, dependsOn: ["make"] },
      { id: "nobody", request: nobody, dependsOn: ["list"] },
    ]);
    const answers = new BatchResponseContent(await client.api("/$batch").post(await content.getContent()));
    const shown = {};
    for (const [id, answer] of answers.getResponses()) {
      shown[id] = { status: answer.status, body: await answer.json() };
    }
    await client.api(`/users/${shown.make.body.id}`).delete();
    return { wanted, shown };
  },

  async jobs() {
    const base = `/servicePrincipals/${process.env.CONFIGURATION}/synchronization`;
    const { value } = await client.api(`${base}/jobs`).get();
    const job = `${base}/jobs/${value[0].id}`;
    const schema = await client.api(`${job}/schema`).get();
    await client.api(`${job}/schema`).put(schema);
    const again = await client.api(`${job}/schema`).get();
    return { status: value[0].status.code, schema, again };
  },

  async refused() {
    return refusal(client.api("/users").search('"displayName:Anna"').get());
  },
};

scenarios[process.argv[2]]().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
