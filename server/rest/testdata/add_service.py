# Install the Python Requests library:
# `pip install requests`

import requests


def send_request():
    # Request
    # POST http://127.0.0.1:5000/service

    try:
        response = requests.post(
            url="http://127.0.0.1:5000/service",
            params={
                "ip": "127.0.0.1",
                "port": "8080",
                "name_service": "Hello",
            },
        )
        print('Response HTTP Status Code: {status_code}'.format(
            status_code=response.status_code))
        print('Response HTTP Response Body: {content}'.format(
            content=response.content))
    except requests.exceptions.RequestException:
        print('HTTP Request failed')
