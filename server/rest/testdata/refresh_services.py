# Install the Python Requests library:
# `pip install requests`

import requests


def send_request():
    # Request
    # PATCH http://127.0.0.1:5000/services

    try:
        response = requests.patch(
            url="http://127.0.0.1:5000/services",
        )
        print('Response HTTP Status Code: {status_code}'.format(
            status_code=response.status_code))
        print('Response HTTP Response Body: {content}'.format(
            content=response.content))
    except requests.exceptions.RequestException:
        print('HTTP Request failed')
