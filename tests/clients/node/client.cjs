const { Client } = require("@microsoft/microsoft-graph-client");

const { URL: url, TENANT, CLIENT_ID, CLIENT_SECRET } = process.env;

const authProvider = {
  async getAccessToken() {
    const answer = await fetch(`${url}/${TENANT}/oauth2/v2.0/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        scope: "https://graph.microsoft.com/.default",
      }),
    });
    const { access_token, error_description } = await answer.json();
    if (!answer.ok) throw new Error(error_description);
    return access_token;
  },
};

exports.client = Client.initWithMiddleware({
  authProvider,
  baseUrl: url,
  customHosts: new Set([new URL(url).hostname]),
});
