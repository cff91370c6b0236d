-- Who could do everything may steer deliveries too.
UPDATE users SET scopes = array_append(scopes, 'deliveries:write'), changed_at = now()
WHERE scopes @> ARRAY['webhooks:read', 'webhooks:write', 'events:write', 'deliveries:read']
    AND NOT scopes @> ARRAY['deliveries:write'];
